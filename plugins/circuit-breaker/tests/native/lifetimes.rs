//! The lifetime of circuits, and the instances that share them.

use proxy_wasm_native_host::{Answer, FailurePolicy, Host, Request, Response, SharedData};
use serde_json::{Value, json};

use super::{OPEN, VM, builder, config, counter, fails, filter, gauges, ok, reason, status};

fn sensitive(more: Value) -> Value {
    let mut breaker = json!({"consecutive_failures": 1, "half_open": {"permits": 1}});
    if let (Some(breaker), Value::Object(more)) = (breaker.as_object_mut(), more) {
        breaker.extend(more);
    }
    config(breaker)
}

#[test]
fn a_push_keeps_circuits_that_mean_the_same() {
    for same in [
        json!({"match": {"path": {"prefix": "/"}}}),
        json!({"failure_rate": 50, "slow": {"threshold": "1s", "rate": 50}}),
        json!({"half_open": {"permits": 5}}),
        json!({"failures": {"statuses": [500]}}),
        json!({"fallback": {"status": 500}}),
    ] {
        let host = builder(&sensitive(json!({}))).workers(2).start().unwrap();
        host.send(fails());
        host.update(vec![filter(&sensitive(same.clone()))]).unwrap();
        assert_eq!(reason(&host, ok()), "circuit_open", "{same}");
        assert_eq!(gauges(&host), (2, 1), "{same}");
    }
}

#[test]
fn a_push_that_changes_the_meaning_of_circuits_closes_them() {
    for different in [
        json!({"key": ["route"]}),
        json!({"window": {"type": "count", "size": 9}}),
        json!({"half_open": {"max_wait": "1s"}}),
        json!({"state": "metrics_only"}),
    ] {
        let host = builder(&sensitive(json!({}))).workers(2).start().unwrap();
        host.send(fails());
        let other = filter(&sensitive(different.clone()));
        host.update(vec![other]).unwrap();
        assert_eq!(reason(&host, ok()), "", "{different}");
        assert_eq!(gauges(&host), (0, 0), "{different}");

        // With the old configuration again, the circuit is in its old state. The gauges follow at its next transition.
        host.update(vec![filter(&sensitive(json!({})))]).unwrap();
        assert_eq!(reason(&host, ok()), "circuit_open", "{different}");
        host.advance(OPEN);
        host.send(ok());
        assert_eq!(gauges(&host), (0, 0), "{different}");
        host.send(fails());
        assert_eq!(gauges(&host), (2, 1), "{different}");
    }
}

/// While a listener drains, streams of the old configuration go on, with the old table.
#[test]
fn streams_of_an_old_configuration_do_not_move_the_gauges_of_the_new_one() {
    let host = builder(&sensitive(json!({}))).start().unwrap();
    let old = host.open_unfinished(fails());
    let other = sensitive(json!({"window": {"type": "count", "size": 9}}));
    host.update(vec![filter(&other)]).unwrap();
    old.end();
    assert_eq!(old.outcome().status(), 503);
    assert_eq!(gauges(&host), (0, 0));
    assert_eq!(status(&host)["state"], "closed");
}

#[test]
fn names_keep_instances_apart() {
    let data = SharedData::new();
    let listener = |name: &str| {
        let mut config = sensitive(json!({}));
        config["name"] = json!(name);
        builder(&config).shared_data(data.clone()).start().unwrap()
    };
    let (edge, same, other) = (listener("edge"), listener("edge"), listener("other"));
    edge.send(fails());
    assert_eq!(reason(&same, ok()), "circuit_open");
    assert_eq!(reason(&other, ok()), "");
}

/// A crashed VM never returns the permits of its streams.
#[test]
fn a_crash_while_half_open_does_not_block_the_circuit_forever() {
    let config = sensitive(json!({"half_open": {"permits": 1, "max_wait": "8s"}}));
    let host = Host::builder()
        .filter(filter(&config).failure_policy(FailurePolicy::Reload))
        .upstream(|request: &Request| match request.path() {
            "/late" => Answer::from(Response::new(200)).after(10 * OPEN),
            _ => super::upstream(request).into(),
        })
        .workers(2)
        .start()
        .unwrap();
    host.send(fails());
    host.advance(OPEN);
    let probe = host.worker(0).open(Request::get("/late"));
    host.worker(0).crash("circuit_breaker");
    drop(probe);
    assert_eq!(host.worker(1).send(ok()).status(), 503);
    host.advance(2 * OPEN);
    assert_eq!(host.worker(1).send(ok()).status(), 200);
    assert_eq!(host.worker(0).send(ok()).status(), 200);
    assert_eq!(counter(&host, "leases_expired"), 1);
    assert_eq!(gauges(&host), (0, 0));
}

/// The stored bytes do not grow with the number of keys.
#[test]
fn memory_is_bounded() {
    let mut config = sensitive(json!({"key": [{"header": "x-tenant"}]}));
    config["max_keys"] = json!(64);
    let host = builder(&config).start().unwrap();
    let send = |from: usize, to: usize| {
        for tenant in from..to {
            let path = if tenant % 3 == 0 { "/fails" } else { "/" };
            host.send(Request::get(path).header("x-tenant", tenant.to_string()));
        }
        host.shared_data().size(VM)
    };
    let full = send(0, 2_000);
    assert_eq!(send(2_000, 6_000), full);
    assert!(full < 16 * 16 * 300 + 64 * 100, "{full}");
    assert_eq!(status(&host)["open_keys"], gauges(&host).1);
    assert!(counter(&host, "evictions") > 1_000);
}
