//! The verdict on each ending.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// The verdict on a request that ends in this way, and the properties that were read for it.
fn verdict_with(failures: Value, ending: Ending) -> (Verdict, Vec<&'static str>) {
    let mut world = World::new(one_breaker(
        json!({"consecutive_failures": 1, "failures": failures}),
    ));
    let mut admission = world.send(&[]);
    let mut ending = ending;
    if let Some(headers) = &ending.headers {
        world.policy.on_response(&mut admission, headers, world.now);
    }
    if let Some(trailers) = &ending.trailers {
        world.policy.on_trailers(&mut admission, trailers);
    }
    let records = world
        .policy
        .on_log(&mut admission, &mut ending, world.now, &mut world.store);
    let opened = records[0].effects.circuit.transition.is_some();
    assert_eq!(opened, records[0].verdict == Verdict::Failure);
    (records[0].verdict, ending.asked)
}

fn verdict(ending: Ending) -> Verdict {
    verdict_with(json!({}), ending).0
}

/// A reply of Envoy or of a filter, as Envoy describes it.
fn local(status: &'static str, details: &'static str, flags: u64, attempts: u32) -> Ending {
    Ending {
        details,
        flags,
        attempts: Some(attempts),
        ..answer(&[(":status", status)])
    }
}

const REFUSED: &str = "upstream_reset_before_response_started{remote_connection_failure}";
const OVERFLOW: &str = "upstream_reset_before_response_started{overflow}";
const BROKE_OFF: &str = "upstream_reset_after_response_started{protocol_error}";

#[test]
fn responses_of_the_upstream_go_by_their_status() {
    for status in ["100", "200", "301", "404", "429", "499"] {
        assert_eq!(verdict(super::status(status)), Verdict::Success, "{status}");
    }
    for status in ["500", "503", "599"] {
        assert_eq!(verdict(super::status(status)), Verdict::Failure, "{status}");
    }
    let failures = json!({"statuses": ["4xx", 503]});
    for (status, expected) in [
        ("400", Verdict::Failure),
        ("499", Verdict::Failure),
        ("503", Verdict::Failure),
        ("500", Verdict::Success),
        ("200", Verdict::Success),
    ] {
        assert_eq!(
            verdict_with(failures.clone(), super::status(status)).0,
            expected
        );
    }
}

#[test]
fn an_upstream_that_fails_is_a_failure() {
    for ending in [
        local("503", REFUSED, 0x20, 1),
        local("503", REFUSED, 0x8020, 3),
        local("503", "no_healthy_upstream", 0x2, 1),
        local("504", "response_timeout", 0x4, 1),
        local(
            "503",
            "upstream_reset_before_response_started{connection_termination}",
            0x40,
            1,
        ),
        local("200", BROKE_OFF, 0x80_0000, 1),
        local("503", "via_upstream", 0x8000, 4),
    ] {
        assert_eq!(verdict(ending.clone()), Verdict::Failure, "{ending:?}");
    }
}

/// The upstream is late, or hangs up.
fn unanswered() -> [Ending; 2] {
    const HUNG_UP: &str = "upstream_reset_before_response_started{connection_termination}";
    [
        local("504", "response_timeout", 0x4, 1),
        local("503", HUNG_UP, 0x40, 1),
    ]
}

fn verdict_of_upgrade(counts: bool, is_upgrade: bool, ending: Ending) -> Verdict {
    let mut world = World::new(one_breaker(json!({
        "consecutive_failures": 1, "failures": {"upgrades": counts},
    })));
    let admission = world.send_head();
    world.advance(Nanos::SECOND);
    let ending = Ending {
        is_upgrade,
        ..ending
    };
    world.end(admission, ending)[0].verdict
}

/// Servers hang up on upgrades of paths that have none, and any client can request one.
#[test]
fn an_upgrade_that_is_not_answered_does_not_count_unless_it_is_said_to() {
    for ending in unanswered() {
        let verdict = |counts| verdict_of_upgrade(counts, true, ending.clone());
        assert_eq!(verdict(false), Verdict::Neutral, "{ending:?}");
        assert_eq!(verdict(true), Verdict::Failure, "{ending:?}");
    }
}

/// The upstream has all that it needs to answer. After its answer, the request is a tunnel.
#[test]
fn an_upgrade_is_complete_until_it_is_answered() {
    let ended = |is_upgrade, ending: Ending| verdict_of_upgrade(true, is_upgrade, ending);
    for ending in unanswered() {
        assert_eq!(ended(true, ending.clone()), Verdict::Failure, "{ending:?}");
        assert_eq!(ended(false, ending.clone()), Verdict::Neutral, "{ending:?}");
    }
    assert_eq!(
        ended(true, local("101", BROKE_OFF, 0x80_0000, 1)),
        Verdict::Success
    );
}

#[test]
fn replies_of_others_are_neutral() {
    for ending in [
        local("503", "", 0, 0),
        local("200", "direct_response", 0, 0),
        local("403", "ext_authz_denied", 0x1000, 0),
        local("429", "request_rate_limited", 0x800, 0),
        local("503", "fault_filter_abort", 0x400, 0),
        local("404", "route_not_found", 0x100, 0),
        local("503", "cluster_not_found", 0x100_0000, 0),
        local("503", OVERFLOW, 0x80, 1),
    ] {
        assert_eq!(verdict(ending.clone()), Verdict::Neutral, "{ending:?}");
    }
}

/// The first is Envoy's own limit; the second is the upstream's response, which could not be retried.
#[test]
fn overflow_is_neutral_but_an_overflow_of_retries_hides_nothing() {
    assert_eq!(verdict(local("503", OVERFLOW, 0x80, 1)), Verdict::Neutral);
    assert_eq!(
        verdict(local("503", "via_upstream", 0x80, 1)),
        Verdict::Failure
    );
}

#[test]
fn clients_that_go() {
    assert_eq!(verdict(abandoned()), Verdict::Abandoned);
    let reset = Ending {
        details: "http2.remote_reset",
        flags: 0x1000_0000,
        ..abandoned()
    };
    assert_eq!(verdict(reset), Verdict::Abandoned);
    let during_the_response = |status| local(status, "downstream_remote_disconnect", 0x4000, 1);
    assert_eq!(verdict(during_the_response("200")), Verdict::Success);
    assert_eq!(verdict(during_the_response("503")), Verdict::Failure);
}

#[test]
fn a_stream_without_response_is_neutral() {
    let ending = Ending {
        flags: 0,
        details: "",
        ..abandoned()
    };
    assert_eq!(verdict(ending), Verdict::Neutral);
}

#[test]
fn configured_flags_come_before_everything() {
    let of = |flag: &str, ending| verdict_with(json!({"statuses": [], "flags": [flag]}), ending).0;
    assert_eq!(
        of("FI", local("503", "fault_filter_abort", 0x400, 0)),
        Verdict::Failure
    );
    assert_eq!(of("DC", abandoned()), Verdict::Failure);
    assert_eq!(of("UO", local("503", OVERFLOW, 0x80, 1)), Verdict::Failure);
    assert_eq!(
        of("URX", local("409", "via_upstream", 0x8000, 3)),
        Verdict::Failure
    );
    // A failure that the configuration does not name is no answer of the upstream either.
    assert_eq!(of("UH", local("503", REFUSED, 0x20, 1)), Verdict::Neutral);
}

fn grpc(headers: &[(&str, &str)], trailers: Option<&[(&str, &str)]>) -> Ending {
    let mut all = vec![
        (":status", "200"),
        ("content-type", "application/grpc+proto"),
    ];
    all.extend(headers);
    Ending {
        trailers: trailers.map(header_map),
        ..answer(&all)
    }
}

#[test]
fn grpc_goes_by_its_status_wherever_that_is() {
    for (code, expected) in [
        ("0", Verdict::Success),
        ("5", Verdict::Success),
        ("14", Verdict::Failure),
        ("4", Verdict::Failure),
    ] {
        assert_eq!(verdict(grpc(&[], Some(&[("grpc-status", code)]))), expected);
        assert_eq!(verdict(grpc(&[("grpc-status", code)], None)), expected);
    }
}

#[test]
fn a_grpc_status_that_never_came_is_unknown() {
    let unknown = json!({"grpc": [2]});
    let broken = grpc(&[], None);
    assert_eq!(
        verdict_with(unknown.clone(), broken.clone()).0,
        Verdict::Failure
    );
    assert_eq!(verdict(broken.clone()), Verdict::Success);
    let left = Ending {
        details: "downstream_remote_disconnect",
        flags: 0x4000,
        ..broken
    };
    assert_eq!(verdict_with(unknown.clone(), left).0, Verdict::Success);
    // Plain HTTP has no gRPC status, regardless of its headers.
    assert_eq!(verdict_with(unknown.clone(), success()).0, Verdict::Success);
}

#[test]
fn grpc_web_goes_by_a_status_in_its_headers() {
    let web = |status: &[(&str, &str)]| {
        let headers = [
            &[
                (":status", "200"),
                ("content-type", "application/grpc-web+proto"),
            ],
            status,
        ];
        answer(&headers.concat())
    };
    assert_eq!(verdict(web(&[("grpc-status", "14")])), Verdict::Failure);
    assert_eq!(verdict(web(&[("grpc-status", "0")])), Verdict::Success);
    assert_eq!(verdict(web(&[("grpc-status", "5")])), Verdict::Success);
    // A status in the body is not missing.
    let unknown = json!({"grpc": [2]});
    assert_eq!(verdict_with(unknown, web(&[])).0, Verdict::Success);
}

#[test]
fn the_common_case_asks_one_question() {
    assert_eq!(verdict_with(json!({}), success()).1, ["details"]);
    let (_, asked) = verdict_with(json!({"flags": ["UF", "URX"]}), success());
    assert_eq!(asked, ["details", "flags"]);
    assert_eq!(
        verdict_with(json!({}), failure()).1,
        ["details", "attempts"]
    );
    let refused = local("503", REFUSED, 0x20, 1);
    let (_, asked) = verdict_with(json!({}), refused);
    assert_eq!(asked, ["details", "flags", "attempts"]);
}

#[test]
fn attempts_are_reported_if_they_are_known() {
    let attempts = |ending: Ending| {
        let mut world = World::new(one_breaker(json!({"consecutive_failures": 1})));
        let admission = world.send(&[]);
        world.end(admission, ending)[0].attempts
    };
    assert_eq!(attempts(success()), None);
    let counted = answer(&[(":status", "200"), ("x-envoy-attempt-count", "3")]);
    assert_eq!(attempts(counted), Some(3));
    assert_eq!(attempts(local("503", "via_upstream", 0x8000, 4)), Some(4));
}

#[test]
fn hostile_responses_do_no_harm() {
    for headers in [
        vec![],
        vec![(":status", "")],
        vec![(":status", "99999999999")],
        vec![
            (":status", "200"),
            ("grpc-status", "-1"),
            ("content-type", "application/grpc"),
        ],
        vec![(":status", "200"), ("x-envoy-attempt-count", "4294967296")],
    ] {
        let ending = answer(&headers);
        assert_ne!(verdict(ending), Verdict::Failure, "{headers:?}");
    }
}
