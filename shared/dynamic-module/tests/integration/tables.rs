//! What the workers of a proxy may expect of a shared table.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};
use std::thread;

use portcullis_dynamic_module::tables::SharedTable;
use proptest::prelude::*;

/// A table that no other test uses.
fn table(test: &str) -> Arc<SharedTable> {
    SharedTable::open("tests", test, 0)
}

fn bytes_of(table: &SharedTable, block: u32) -> Vec<u8> {
    let mut found = Vec::new();
    table.update(block, &mut |bytes| {
        found.clone_from(bytes);
        false
    });
    found
}

fn count_of(table: &SharedTable, block: u32) -> u64 {
    count(&bytes_of(table, block))
}

fn count(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap_or_default())
}

/// Counts one more.
fn increment(bytes: &mut Vec<u8>) -> bool {
    let next = count(bytes) + 1;
    bytes.clear();
    bytes.extend(next.to_le_bytes());
    true
}

#[test]
fn a_block_keeps_what_was_stored() {
    let table = table("keeps");
    assert!(bytes_of(&table, 5).is_empty());
    for bytes in [&b"first"[..], b"other", b"a longer one", b"", b"short"] {
        table.update(5, &mut |stored| {
            stored.clear();
            stored.extend(bytes);
            true
        });
        assert_eq!(bytes_of(&table, 5), bytes);
    }
    // Blocks of the same lock, and of others.
    for other in [4, 6, 5 + 64, 5 + 6400, u32::MAX, 0] {
        assert!(bytes_of(&table, other).is_empty(), "{other}");
    }
}

#[test]
fn an_edit_without_change_stores_nothing() {
    let table = table("unchanged");
    table.update(1, &mut |bytes| {
        bytes.extend(b"dropped");
        false
    });
    assert!(bytes_of(&table, 1).is_empty());
    table.update(1, &mut increment);
    table.update(1, &mut |bytes| {
        bytes.push(1);
        bytes[0] = 9;
        false
    });
    assert_eq!(count_of(&table, 1), 1);
}

/// A new configuration finds the state of the old one if plugin, instance and identity are the same.
#[test]
fn the_same_table_has_the_same_names() {
    let open = |plugin, instance, identity| SharedTable::open(plugin, instance, identity);
    let first = open("names", "edge", 7);
    first.update(3, &mut increment);
    drop(first);
    assert_eq!(count_of(&open("names", "edge", 7), 3), 1);
    for (plugin, instance, identity) in [
        ("names", "edge", 8),
        ("names", "inner", 7),
        ("others", "edge", 7),
        ("namese", "dge", 7),
    ] {
        assert!(bytes_of(&open(plugin, instance, identity), 3).is_empty());
    }
}

/// Threads that start at once, each with its number.
fn race(threads: u32, run: impl Fn(u32) + Sync) {
    let start = Barrier::new(threads as usize);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (start, run) = (&start, &run);
            scope.spawn(move || {
                start.wait();
                run(thread);
            });
        }
    });
}

#[test]
fn workers_at_one_block_lose_no_update() {
    race(8, |_| {
        let table = table("one block");
        for _ in 0..5_000 {
            table.update(1, &mut increment);
        }
    });
    assert_eq!(count_of(&table("one block"), 1), 40_000);
}

#[test]
fn workers_at_many_blocks_lose_no_update() {
    const BLOCKS: u32 = 1_000;
    race(8, |thread| {
        let table = table("many blocks");
        for i in 0..20_000 {
            let block = (i * 7 + thread * 13) % BLOCKS;
            table.update(block * 37, &mut increment);
        }
    });
    let table = table("many blocks");
    let mut counts = (0..BLOCKS).map(|block| count_of(&table, block * 37));
    assert!(counts.all(|count| count == 160));
}

/// Both numbers of the block change together, so no worker ever sees them differ.
#[test]
fn no_worker_sees_half_an_update() {
    race(4, |thread| {
        let table = table("halves");
        for i in 0..5_000_u32 {
            table.update(9, &mut |bytes| {
                let (one, other) = bytes.split_at(bytes.len() / 2);
                assert_eq!(one, other);
                let half = [&thread.to_le_bytes()[..], &i.to_le_bytes()].concat();
                *bytes = half.repeat(2);
                true
            });
        }
    });
}

#[test]
fn a_panic_within_an_edit_changes_nothing() {
    let table = table("panic");
    for stored in 0..3 {
        let block = stored % 2;
        let before = bytes_of(&table, block);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            table.update(block, &mut |bytes| {
                bytes.clear();
                bytes.extend(b"half an edit");
                panic!("as intended");
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(bytes_of(&table, block), before);
        // Neither the block nor its lock is lost.
        table.update(block, &mut increment);
        assert_eq!(count_of(&table, block), count(&before) + 1);
    }
}

/// Some updates of a race panic. The others are counted all the same.
#[test]
fn panics_of_a_worker_do_not_disturb_the_others() {
    race(4, |thread| {
        let table = table("panics");
        for i in 0..500 {
            let update = || {
                table.update(2, &mut |bytes| {
                    let changed = increment(bytes);
                    assert!(thread != 0 || i % 5 != 0, "as intended");
                    changed
                });
            };
            let panicked = catch_unwind(AssertUnwindSafe(update)).is_err();
            assert_eq!(panicked, thread == 0 && i % 5 == 0);
        }
    });
    assert_eq!(count_of(&table("panics"), 2), 1_900);
}

proptest! {
    /// A table is a map from numbers to bytes.
    #[test]
    fn it_is_a_map(
        updates in prop::collection::vec(
            (prop_oneof![0..200_u32, any::<u32>()], prop::collection::vec(any::<u8>(), 0..40), 0..4_u8),
            0..200,
        ),
        identity in 1..u64::MAX,
    ) {
        let table = SharedTable::open("tests", "model", identity);
        // The same identity may come again.
        let mut model: HashMap<u32, Vec<u8>> = HashMap::new();
        for (block, _, _) in &updates {
            model.insert(*block, bytes_of(&table, *block));
        }
        for (block, bytes, kind) in updates {
            let expected = model.entry(block).or_default();
            table.update(block, &mut |stored| {
                assert_eq!(stored, expected);
                match kind {
                    0 => stored.clone_from(&bytes),
                    1 => stored.extend(&bytes),
                    2 => stored.truncate(bytes.len()),
                    _ => {
                        stored.clone_from(&bytes);
                        return false;
                    }
                }
                expected.clone_from(stored);
                true
            });
            prop_assert_eq!(&bytes_of(&table, block), expected);
        }
        for (block, expected) in &model {
            prop_assert_eq!(&bytes_of(&table, *block), expected);
        }
    }
}
