//! More keys than a table has room for.

use std::fs;

use portcullis_envoy_tests::envoy::Envoy;
use serde_json::{Value, json};

use super::{admitted, builder, count, statuses, with_key};

/// The README's "Memory": a table has a block for every 8 keys of `max_keys`. A full block has 16 keys and takes
/// 375 bytes, Envoy's share included.
const KEYS_PER_BLOCK: u64 = 8;
const SLOTS_PER_BLOCK: u64 = 16;
const BLOCK: u64 = 375;

/// Allowed growth of the heap beyond the table, for statistics and buffers: 60 KiB were seen.
const SLACK: u64 = 256 * 1024;

/// What a key takes at least: its tag and its state. A leak of keys would take this for each.
const KEY: u64 = 16;

#[test]
fn a_flood_of_keys_frees_nobody_and_takes_no_memory() {
    flood(50_000, 1_024);
}

/// The same with the default size of the table.
#[test]
#[ignore = "takes a minute or two: make soak"]
fn a_million_keys() {
    flood(1_000_000, 65_536);
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

/// Sends one request each with that many keys, more than the table has room for. Then the same with other keys: the
/// table is full by then, and V8 has compiled everything, so that memory should not grow any more.
fn flood(keys: usize, max_keys: u64) {
    const HEAVY: usize = 100;
    const LIMIT: usize = 10;
    let envoy = builder(&json!({
        "name": "edge", "max_keys": max_keys,
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
    let before = Memory::of(&envoy);

    let first = admitted(&statuses(&envoy, keys, with_key));
    let full = Memory::of(&envoy);
    let second = admitted(&statuses(&envoy, keys, |n| with_key(format!("more-{n}"))));
    let after = Memory::of(&envoy);

    let evictions = count(&envoy, "per-key", "evictions");
    println!("twice {keys} keys: {evictions} evicted; {before:?}, {full:?}, {after:?}");
    assert_eq!(first, keys, "the first request of every new key");
    assert_eq!(second, keys, "the first request of every new key");
    assert_eq!(heavy(3), 0, "keys over their limit stay over it");
    let blocks = max_keys / KEYS_PER_BLOCK;
    // Shared data is on Envoy's heap. The table may fill up.
    let grown = full.allocated.saturating_sub(before.allocated);
    assert!(grown <= blocks * BLOCK + SLACK, "{grown} bytes");
    // New keys take nothing more: neither of the heap, nor of the memory of VMs, which is not on the heap. That
    // one grows by some pages at a time, so the limit is a third of what a leak would take.
    let grown = after.allocated.saturating_sub(full.allocated);
    assert!(grown <= SLACK, "{grown} bytes on the heap");
    let grown = after.resident.saturating_sub(full.resident);
    assert!(grown <= keys as u64 * KEY / 3, "{grown} bytes resident");
    // Every key that found no free slot took that of another, which had used one request.
    let came = (HEAVY + 2 * keys) as u64;
    assert!(evictions >= came - blocks * SLOTS_PER_BLOCK, "{evictions}");
    assert_eq!(count(&envoy, "per-key", "forgiven"), evictions);
    assert_eq!(count(&envoy, "per-key", "gave_up"), 0);
    envoy.assert_no_vm_failed();
}

/// Every key comes four times, in turn. The table has room for a tenth of them, so a key has been evicted when it
/// comes again.
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
    // The first keys found room.
    assert!(admitted >= keys / 10, "{admitted}");
    assert!(count(&envoy, "per-key", "evictions") > 0);
    assert_eq!(count(&envoy, "per-key", "forgiven"), 0);
}

/// The memory of an Envoy, in bytes.
#[derive(Debug)]
struct Memory {
    /// In use on its heap.
    allocated: u64,
    /// Held in RAM, for the VMs too.
    resident: u64,
}

impl Memory {
    fn of(envoy: &Envoy) -> Self {
        let heap: Value = serde_json::from_str(&envoy.admin("/memory")).expect("JSON");
        let allocated = heap.get("allocated").and_then(Value::as_str);
        let status = fs::read_to_string(format!("/proc/{}/status", envoy.process_id()));
        let status = status.expect("Envoy runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Self {
            allocated: allocated
                .and_then(|text| text.parse().ok())
                .expect("Envoy reports its heap"),
            resident: kib
                .and_then(|kib| kib.parse::<u64>().ok())
                .expect("Linux reports the memory of a process in kB")
                * 1024,
        }
    }
}
