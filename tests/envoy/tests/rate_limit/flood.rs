//! More keys than there is room for.

use std::fs;

use portcullis_envoy_tests::envoy::Envoy;
use serde_json::json;

use super::{admitted, builder, count, statuses, with_key};

/// What may come on top of the table, for everything else that Envoy does.
const SLACK_KIB: u64 = 16 * 1024;

#[test]
fn a_flood_of_keys_frees_nobody_and_takes_no_memory() {
    Flood {
        keys: 50_000,
        max_keys: 1_024,
        table_kib: 64,
    }
    .run();
}

/// The same with the default size of the table, as the README documents it.
#[test]
#[ignore = "takes a minute or two: make soak"]
fn a_million_keys() {
    Flood {
        keys: 1_000_000,
        max_keys: 65_536,
        table_kib: 3 * 1024,
    }
    .run();
}

#[test]
fn strict_admits_no_key_more_than_its_limit() {
    strict(10_000);
}

#[test]
#[ignore = "takes a minute or two: make soak"]
fn strict_with_many_keys() {
    strict(200_000);
}

struct Flood {
    /// How many one-time keys come.
    keys: usize,
    /// How many the table is planned for.
    max_keys: u32,
    table_kib: u64,
}

impl Flood {
    fn run(self) {
        const HEAVY: usize = 100;
        const LIMIT: usize = 10;
        let envoy = builder(&json!({
            "name": "edge", "max_keys": self.max_keys,
            "limits": [{"name": "per-key", "key": [{"header": "x-api-key"}],
                "rate": {"requests": LIMIT, "per": "24h"}}],
        }))
        .start();
        let heavy = |times: usize| {
            let statuses = statuses(&envoy, HEAVY * times, |n| {
                with_key(format!("heavy-{}", n % HEAVY))
            });
            admitted(&statuses)
        };
        assert_eq!(heavy(LIMIT + 5), HEAVY * LIMIT);
        let before = resident_kib(&envoy);

        let flood = statuses(&envoy, self.keys, with_key);

        let grown = resident_kib(&envoy).saturating_sub(before);
        let evictions = count(&envoy, "per-key", "evictions");
        println!(
            "{} keys: {} admitted; {evictions} made room; memory grew by {grown} KiB",
            self.keys,
            admitted(&flood),
        );
        assert_eq!(admitted(&flood), self.keys, "every new key's first request");
        assert_eq!(heavy(3), 0, "who was over the limit stays over it");
        assert!(grown <= self.table_kib + SLACK_KIB, "{grown} KiB");
        assert!(evictions > 0);
        // One-time keys have used one request each.
        assert_eq!(count(&envoy, "per-key", "forgiven"), evictions);
        assert_eq!(count(&envoy, "per-key", "gave_up"), 0);
        envoy.assert_no_vm_failed();
    }
}

/// Every key comes four times, in turn, so that in a table for a tenth of them each has been driven
/// out when it comes again.
fn strict(keys: usize) {
    const LIMIT: usize = 3;
    let envoy = builder(&json!({
        "name": "edge", "max_keys": keys / 10, "when_full": "strict",
        "limits": [{"name": "per-key", "key": [{"header": "x-api-key"}],
            "rate": {"requests": LIMIT, "per": "24h"}}],
    }))
    .start();

    let statuses = statuses(&envoy, 4 * keys, move |n| with_key(n % keys));

    let mut passed = vec![0; keys];
    for (key, status) in (0..keys).cycle().zip(&statuses) {
        if let Some(passed) = passed.get_mut(key) {
            *passed += usize::from(*status == 200);
        }
    }
    let most = passed.iter().max().copied().unwrap_or_default();
    let admitted = admitted(&statuses);
    println!("{keys} keys, strict: {admitted} admitted, {most} at most of one key");
    assert!(most <= LIMIT, "{most}");
    // The first ones found room.
    assert!(admitted >= keys / 10, "{admitted}");
    assert!(count(&envoy, "per-key", "evictions") > 0);
    assert_eq!(count(&envoy, "per-key", "forgiven"), 0);
}

/// The memory that Envoy has from the system.
fn resident_kib(envoy: &Envoy) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", envoy.process_id()));
    let status = status.expect("Envoy runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse().ok())
        .expect("Linux tells the memory of a process in kB")
}
