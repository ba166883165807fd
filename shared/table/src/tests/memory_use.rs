//! The memory that full tables occupy.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::Count;
use crate::{Block, MAX_KEYS, MemoryUse, WhenFull, blocks_for};

fn table(max_keys: u32) -> MemoryUse {
    MemoryUse::of_table::<Count>(blocks_for(max_keys))
}

#[test]
fn a_full_block_is_as_large_as_said() {
    let mut bytes = Vec::new();
    for tag in 0..100 {
        let mut block = Block::<Count>::new(&mut bytes);
        block.update(tag, WhenFull::Forgive, |_| 0, |old| (Some(old), ()));
    }
    assert_eq!(bytes.len(), Block::<Count>::MAX_SIZE);
}

#[test]
fn it_is_shown_rounded_up() {
    let shown = |times: usize, max_keys| {
        let tables = std::iter::repeat_n(table(max_keys), times);
        tables.sum::<MemoryUse>().to_string()
    };
    assert_eq!(shown(0, 1), "0 MiB");
    assert_eq!(shown(1, 1), "1 MiB");
    assert_eq!(shown(300, 65_536), "725 MiB");
    assert_eq!(shown(3_000, 65_536), "7.1 GiB");
    assert_eq!(MemoryUse::MAX.to_string(), "4 GiB");
}

#[test]
fn more_than_the_bound_is_refused() {
    let check = |count, max_keys| {
        let tables = std::iter::repeat_n(table(max_keys), count);
        let with_idle = tables.chain([MemoryUse::default()]);
        MemoryUse::check(max_keys, with_idle)
    };
    assert_eq!(check(1_000, 65_536), Ok(()));
    assert_eq!(check(1, MAX_KEYS), Ok(()));
    assert_eq!(
        check(3_000, 65_536).unwrap_err(),
        "found 65536 for each of 3000 tables, which take up to 7.1 GiB of memory; expected at most \
         4 GiB for all of them: lower max_keys, or have fewer rules with a key"
    );
    assert_eq!(check(3_000, 16_384), Ok(()));
}
