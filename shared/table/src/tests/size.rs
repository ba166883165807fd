//! The size of a table, and how often it has no room.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::{MAX_KEYS, SLOTS, blocks_for};

#[test]
fn there_are_twice_as_many_slots_as_keys() {
    assert_eq!(blocks_for(65_536), 8_192);
    for max_keys in [17, 100, 1_000, 65_537, 1_000_000, MAX_KEYS] {
        let blocks = blocks_for(max_keys);
        assert!(blocks.is_power_of_two());
        assert!(
            blocks as usize * SLOTS >= 2 * max_keys as usize,
            "{max_keys}"
        );
        assert!(
            blocks as usize * SLOTS < 4 * (max_keys as usize + SLOTS),
            "{max_keys}"
        );
    }
}

#[test]
fn few_keys_share_one_block() {
    assert_eq!([1, 2, 16, 17].map(blocks_for), [1, 1, 1, 4]);
}

/// With `mean` keys per block on average: the fraction of blocks that get more keys than slots, and the fraction of
/// keys that find no slot.
fn overflow(mean: f64) -> (f64, f64) {
    let (mut blocks, mut keys) = (0.0, 0.0);
    let mut probability = (-mean).exp();
    for n in 1..200 {
        probability *= mean / f64::from(n);
        let beyond = n - SLOTS as i32;
        if beyond > 0 {
            blocks += probability;
            keys += probability * f64::from(beyond);
        }
    }
    (blocks, keys / mean)
}

/// The table in the documentation of the crate.
#[test]
fn the_documented_probabilities_are_true() {
    let is_about = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.05;
    for (mean, blocks, one_key_in) in [
        (8.0, 0.0037, 1_258.0),
        (6.0, 0.000_17, 23_400.0),
        (4.0, 0.000_001_1, 2_770_000.0),
    ] {
        let (blocks_beyond, keys_beyond) = overflow(mean);
        assert!(is_about(blocks_beyond, blocks), "{mean}: {blocks_beyond}");
        assert!(
            is_about(1.0 / keys_beyond, one_key_in),
            "{mean}: {keys_beyond}"
        );
    }
}
