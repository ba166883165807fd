//! Limits are exact while several workers update them. Their period is a day, so that nothing is refilled during a test,
//! however slow the machine is.

use std::thread;

use portcullis_envoy_tests::message::Request;
use serde_json::json;

use super::{admitted, builder, count, statuses, with_key};

#[test]
fn a_limit_of_100_admits_100() {
    let envoy = builder(&json!({
        "name": "edge",
        "limits": [{"name": "per-client", "key": ["remote_address"],
            "rate": {"requests": 100, "per": "24h"}}],
    }))
    .start();

    let statuses = statuses(&envoy, 20_000, |_| Request::get("/"));

    assert_eq!(admitted(&statuses), 100);
    assert_eq!(count(&envoy, "per-client", "admitted"), 100);
    assert_eq!(
        count(&envoy, "per-client", "reason=.=rate_limited;.;denied"),
        19_900
    );
    assert_eq!(count(&envoy, "per-client", "occupancy"), 1);
    assert_eq!(count(&envoy, "per-client", "gave_up"), 0);
    assert_eq!(count(&envoy, "per-client", "errors"), 0);
    envoy.assert_no_vm_failed();
}

/// All connections send the same new key at once.
#[test]
fn a_fresh_key_is_not_counted_twice() {
    const KEYS: usize = 200;
    const AT_ONCE: usize = 16;
    let envoy = builder(&json!({
        "name": "edge",
        "limits": [{"name": "once", "key": [{"header": "x-api-key"}],
            "rate": {"requests": 1, "per": "24h"}}],
    }))
    .start();

    let statuses = statuses(&envoy, KEYS * AT_ONCE, |n| with_key(n / AT_ONCE));

    for (key, statuses) in statuses.chunks(AT_ONCE).enumerate() {
        assert_eq!(admitted(statuses), 1, "key {key}");
    }
}

#[test]
fn what_one_limit_denies_consumes_nothing_of_another() {
    let envoy = builder(&json!({
        "name": "edge",
        "limits": [
            {"name": "per-client", "key": ["remote_address"],
                "rate": {"requests": 1000, "per": "24h"}},
            {"name": "exports", "match": {"path": {"prefix": "/export"}},
                "rate": {"requests": 100, "per": "24h"}},
        ],
        "response_headers": ["ratelimit"],
    }))
    .start();
    let is_export = |n: usize| !n.is_multiple_of(20);

    let statuses = statuses(&envoy, 10_000, move |n| {
        Request::get(if is_export(n) { "/export" } else { "/" })
    });

    let passed = |export: bool| {
        let numbered = statuses.iter().enumerate();
        numbered
            .filter(|(n, status)| is_export(*n) == export && **status == 200)
            .count()
    };
    assert_eq!(passed(true), 100);
    // More are always left for them than others reserve for a moment.
    assert_eq!(passed(false), 500);
    // 600 were consumed, and now one more.
    let response = envoy.client().send(&Request::get("/"));
    let left = response.header("ratelimit").unwrap_or_default();
    assert!(left.starts_with(r#""per-client";r=399;"#), "{left}");
    assert_eq!(count(&envoy, "exports", "admitted"), 100);
    assert_eq!(count(&envoy, "per-client", "admitted"), 601);
    envoy.assert_no_vm_failed();
}

/// Each listener has its own plugin. With the same name and `vm_id`, they share a table.
#[test]
fn listeners_share_the_counts_of_a_name() {
    let envoy = builder(&json!({
        "name": "edge",
        "limits": [{"name": "all", "rate": {"requests": 1000, "per": "24h"}}],
    }))
    .tls()
    .start();
    let over_tls = || {
        let mut connection = envoy.tls_client().connect();
        let statuses: Vec<u16> = (0..500)
            .map(|_| connection.send(&Request::get("/")).status)
            .collect();
        admitted(&statuses)
    };

    let passed: usize = thread::scope(|scope| {
        let tls: Vec<_> = (0..4).map(|_| scope.spawn(over_tls)).collect();
        let plain = admitted(&statuses(&envoy, 2_000, |_| Request::get("/")));
        let tls = tls.into_iter().map(|thread| thread.join());
        plain + tls.map(|passed| passed.expect("no panic")).sum::<usize>()
    });

    assert_eq!(passed, 1000);
}
