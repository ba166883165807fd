//! More keys than a table has room for.

use proxy_wasm_native_host::Host;
use serde_json::json;

use super::{VM, admitted, builder, counter, name, with_key};

/// A table of one block, which has room for 16 keys.
fn host(when_full: &str) -> Host {
    let config = json!({
        "name": "edge", "max_keys": 16, "when_full": when_full,
        "limits": [{"name": "per-key", "key": [{"header": "x-api-key"}],
            "rate": {"requests": 10, "per": "1h"}}],
    });
    builder(&config).workers(2).start().unwrap()
}

#[test]
fn a_flood_of_keys_does_not_free_a_key_over_its_limit() {
    let host = host("forgive");
    assert_eq!(admitted(&host, &with_key("heavy"), 12), 10);

    for n in 0..1000 {
        assert_eq!(admitted(&host, &with_key(&format!("one-time-{n}")), 1), 1);
    }

    assert_eq!(admitted(&host, &with_key("heavy"), 5), 0);
    assert_eq!(host.gauge(&name("per-key", "occupancy")), 16);
    // All keys but the heavy one and the last 15 were evicted, each with a usage of one request.
    assert_eq!(counter(&host, "per-key", "evictions"), 1000 - 15);
    assert_eq!(counter(&host, "per-key", "forgiven"), 1000 - 15);
}

#[test]
fn memory_does_not_grow_with_keys() {
    let host = host("forgive");
    let flood = |range: std::ops::Range<u32>| {
        range.for_each(|n| {
            host.send(with_key(&n.to_string()));
        });
        host.shared_data().size(VM)
    };
    let full = flood(0..16);
    assert_eq!(flood(16..1000), full);
}

#[test]
fn strict_never_admits_a_key_more_than_its_limit() {
    let host = host("strict");
    let mut passed = vec![0; 100];
    for round in 0..15 {
        for (n, passed) in passed.iter_mut().enumerate() {
            // Some keys send in every round, others in one of five.
            if n % 7 == 0 || n % 5 == round % 5 {
                *passed += admitted(&host, &with_key(&n.to_string()), 1);
            }
        }
    }
    assert!(passed.iter().all(|passed| *passed <= 10), "{passed:?}");
    // New keys inherit the debt.
    assert_eq!(admitted(&host, &with_key("new"), 1), 0);
    assert!(counter(&host, "per-key", "evictions") > 0);
    assert_eq!(counter(&host, "per-key", "forgiven"), 0);
}
