//! Costs in trailers, in the dynamic metadata, and by status.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Ten in ten hours, and a reservation of 4.
fn world(charge: Value) -> World {
    World::new(one_limit(json!({
        "rate": {"requests": 10, "per": "10h"}, "cost": 4, "charge_response": charge,
    })))
}

/// The remaining amount after these events of one request, and after the same events once more for that request.
fn left_after(charge: Value, events: impl Fn(&mut World, &mut Evaluation)) -> u32 {
    let mut world = world(charge);
    let mut evaluation = world.send(&[]);
    assert_eq!(remaining(&evaluation), 6);
    events(&mut world, &mut evaluation);
    let left = remaining(&evaluation);
    events(&mut world, &mut evaluation);
    assert_eq!(remaining(&evaluation), left, "it is charged once");
    // The evaluation shows the state of the table.
    world.policy = policy(one_limit(json!({
        "rate": {"requests": 10, "per": "10h"}, "cost": {"header": "x-cost"},
    })));
    assert_eq!(remaining(&world.send(&[("x-cost", "0")])), left);
    left
}

#[test]
fn only_the_named_statuses_are_charged() {
    let statuses = json!({"statuses": [401, "5xx"]});
    for (status, left) in [
        ("401", 6),
        ("500", 6),
        ("599", 6),
        ("200", 10),
        ("204", 10),
        ("302", 10),
        ("400", 10),
        ("403", 10),
        ("600", 10),
    ] {
        let found = left_after(statuses.clone(), |world, evaluation| {
            world.respond(evaluation, &[(":status", status)]);
        });
        assert_eq!(found, left, "{status}");
    }
    // Headers without a status come from nowhere, and refund nothing.
    let found = left_after(statuses, |world, evaluation| {
        world.respond(evaluation, &[]);
    });
    assert_eq!(found, 6);
}

#[test]
fn failures_are_limited_and_successes_are_not() {
    let mut world = World::new(one_limit(json!({
        "rate": {"requests": 3, "per": "1h"}, "charge_response": {"statuses": [401]},
    })));
    for status in ["200", "401", "200", "401", "200", "200", "401"] {
        let mut evaluation = world.send(&[]);
        assert!(!evaluation.is_denied(), "{status}");
        world.respond(&mut evaluation, &[(":status", status)]);
    }
    assert!(!world.admits(&[]));
}

/// Guesses in parallel gain nothing: each reserves its cost until its response.
#[test]
fn requests_that_are_under_way_count() {
    let mut world = World::new(one_limit(json!({
        "rate": {"requests": 3, "per": "1h"}, "charge_response": {"statuses": [401]},
    })));
    let mut under_way: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    assert!(!world.admits(&[]));
    for evaluation in &mut under_way {
        world.respond(evaluation, &[(":status", "200")]);
    }
    assert_eq!(world.admitted(4, &[]), 3);
}

#[test]
fn a_trailer_is_charged_when_it_arrives() {
    let trailer = json!({"trailer": "X-Cost", "max": 8});
    let after = |trailers: &[(&str, &str)]| {
        left_after(trailer.clone(), |world, evaluation| {
            // A header of this name is none of its business.
            world.respond(evaluation, &[(":status", "200"), ("x-cost", "9")]);
            world.trail(evaluation, trailers);
        })
    };
    assert_eq!(after(&[("grpc-status", "0"), ("x-cost", "1")]), 9);
    assert_eq!(after(&[("x-cost", "7")]), 3);
    assert_eq!(
        after(&[("x-cost", "3"), ("x-cost", "8"), ("x-cost", "a")]),
        2
    );
    assert_eq!(after(&[("x-cost", "99")]), 2);
    assert_eq!(after(&[("x-cost", "-1")]), 6);
    assert_eq!(after(&[("grpc-status", "0")]), 6);
    // They never arrive.
    let found = left_after(trailer.clone(), |world, evaluation| {
        world.respond(evaluation, &[(":status", "200")]);
    });
    assert_eq!(found, 6);
    // The response of gRPC that has no body has its trailers as headers.
    let only = [(":status", "200"), ("grpc-status", "5"), ("x-cost", "1")];
    let found = left_after(trailer, |world, evaluation| {
        world.respond(evaluation, &only);
    });
    assert_eq!(found, 9);
}

#[test]
fn metadata_are_charged_at_the_end() {
    let metadata = json!({"metadata": {"namespace": "a.b", "key": "c"}, "max": 8});
    let after = |number: Option<f64>| {
        left_after(metadata.clone(), |world, evaluation| {
            world.respond(evaluation, &[(":status", "200")]);
            world.trail(evaluation, &[("c", "9")]);
            world.end(evaluation, number);
        })
    };
    for (number, left) in [
        (0.0, 10),
        (-0.0, 10),
        (1.0, 9),
        (8.0, 2),
        (9.0, 2),
        (1e300, 2),
        (f64::INFINITY, 6),
        (f64::NAN, 6),
        (-1.0, 6),
        (1.5, 6),
    ] {
        assert_eq!(after(Some(number)), left, "{number}");
    }
    assert_eq!(after(None), 6);
}

#[test]
fn each_limit_reads_its_own_metadata() {
    let limit = |name: &str| {
        named(
            name,
            json!({
                "rate": {"requests": 10, "per": "10h"},
                "charge_response": {"metadata": {"namespace": "io.envoy.ai_gateway", "key": name}},
            }),
        )
    };
    let mut world = World::new(json!({"limits": [limit("input"), limit("output")]}));
    let mut evaluation = world.send(&[]);
    let read = |namespace: &str, key: &str| match (namespace, key) {
        ("io.envoy.ai_gateway", "input") => Some(2.0),
        ("io.envoy.ai_gateway", "output") => Some(7.0),
        _ => None,
    };
    world.policy.on_end(
        &mut evaluation,
        read,
        world.now,
        &mut world.store,
        &mut crate::NoServices,
    );
    let left = |i: usize| evaluation.checks()[i].quota.unwrap().remaining;
    assert_eq!((left(0), left(1)), (8, 3));
}

#[test]
fn a_denied_request_is_charged_nothing() {
    for charge in [
        json!({"statuses": ["2xx"]}),
        json!({"trailer": "x-cost"}),
        json!({"metadata": {"namespace": "a", "key": "b"}}),
    ] {
        let mut world = world(charge.clone());
        world.admitted(2, &[]);
        let mut denied = world.send(&[]);
        assert!(denied.is_denied());
        let before = world.store.contents();
        world.respond(&mut denied, &[(":status", "429")]);
        world.trail(&mut denied, &[("x-cost", "9")]);
        world.end(&mut denied, Some(9.0));
        assert_eq!(world.store.contents(), before, "{charge}");
    }
}

#[test]
fn only_the_parts_with_a_cost_are_needed() {
    for (charge, needs) in [
        (json!(null), [false; 4]),
        (json!({"header": "x-cost"}), [true, true, false, false]),
        (json!({"statuses": [401]}), [true, true, false, false]),
        (json!({"trailer": "x-cost"}), [true, true, true, false]),
        (
            json!({"metadata": {"namespace": "a", "key": "b"}}),
            [false, false, false, true],
        ),
    ] {
        let needed = |mode: &str| {
            let limit = json!({"charge_response": charge.clone(), "mode": mode});
            let policy = policy(one_limit(limit));
            [
                policy.needs_response(),
                policy.reads_response(),
                policy.needs_trailers(),
                policy.needs_end(),
            ]
        };
        assert_eq!(needed("enforce"), needs, "{charge}");
        assert_eq!(needed("off"), [false; 4], "{charge}");
    }
}

#[test]
fn a_charge_has_one_source() {
    let found = |charge: Value| limit_errors(json!({"charge_response": charge}));
    for good in [
        json!({"trailer": "X-Cost", "max": 5}),
        json!({"metadata": {"namespace": "io.envoy.ai_gateway", "key": "llm_total_token"}, "max": 5}),
        json!({"statuses": [401, "4xx"]}),
    ] {
        assert_eq!(found(good), "");
    }
    for (bad, error) in [
        (
            json!({}),
            "$.charge_response: found none; expected exactly one of: header, trailer, metadata, statuses",
        ),
        (
            json!({"header": "a", "statuses": [401]}),
            "$.charge_response: found header, statuses; expected exactly one of: header, trailer, \
             metadata, statuses",
        ),
        (
            json!({"statuses": [401], "max": 5}),
            "$.charge_response.max: found 5 with \"statuses\", which charge what was reserved",
        ),
        (
            json!({"statuses": []}),
            "$.charge_response.statuses: found an empty array; expected a status such as 401 or \"4xx\"",
        ),
        (
            json!({"statuses": ["401"]}),
            "$.charge_response.statuses[0]: found \"401\"; expected a status from 100 to 599, or \"1xx\", \
             \"2xx\", \"3xx\", \"4xx\", \"5xx\"",
        ),
        (
            json!({"metadata": {"namespace": "a"}}),
            "$.charge_response.metadata: required field \"key\" is missing",
        ),
        (
            json!({"metadata": {"namespace": "", "key": "a"}}),
            "$.charge_response.metadata.namespace: found \"\"; expected a non-empty text",
        ),
    ] {
        assert_eq!(found(bad), error);
    }
}
