//! Keys and their hashes.

use std::collections::HashMap;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::{KeyHash, KeyHasher, Seed};

fn hash(seed: u8, parts: &[Option<&str>]) -> KeyHash {
    let mut hasher = KeyHasher::new(&Seed::new([seed; 16]));
    for part in parts {
        match part {
            Some(part) => hasher.part(part.as_bytes()),
            None => hasher.missing_part(),
        }
    }
    hasher.finish()
}

#[test]
fn no_two_keys_are_confused() {
    let keys: [&[Option<&str>]; 10] = [
        &[],
        &[None],
        &[Some("")],
        &[None, None],
        &[None, Some("")],
        &[Some("a"), Some("b_c")],
        &[Some("a_b"), Some("c")],
        &[Some("a"), Some("b"), Some("c")],
        &[Some("ab"), Some("c")],
        &[Some("a"), Some("bc")],
    ];
    for (i, one) in keys.iter().enumerate() {
        assert_eq!(hash(1, one), hash(1, one));
        for other in &keys[..i] {
            assert_ne!(
                hash(1, one).tag(),
                hash(1, other).tag(),
                "{one:?} {other:?}"
            );
        }
    }
}

#[test]
fn another_seed_places_keys_elsewhere() {
    let moved = (0..100)
        .map(|i: u32| i.to_string())
        .filter(|key| {
            let block = |seed| hash(seed, &[Some(key)]).block(1 << 20);
            block(1) != block(2)
        })
        .count();
    assert!(moved >= 99, "{moved}");
}

#[test]
fn a_seed_does_not_show_itself() {
    assert_eq!(format!("{:?}", Seed::new([7; 16])), "Seed(…)");
}

#[test]
fn one_block_holds_everything() {
    assert_eq!(hash(1, &[Some("a")]).block(1), 0);
}

/// The blocks of 65,536 keys: the hash spreads them as a random one would.
#[test]
fn keys_are_spread_over_the_blocks() {
    let mut blocks = HashMap::<u32, u32>::new();
    for i in 0..65_536 {
        let key = format!("192.0.{}.{}", i / 256, i % 256);
        *blocks
            .entry(hash(9, &[Some(&key)]).block(8_192))
            .or_default() += 1;
    }
    assert!(blocks.keys().all(|block| *block < 8_192));
    let beyond: u32 = blocks.values().map(|keys| keys.saturating_sub(16)).sum();
    // 52 are expected, with a standard deviation of about 9.
    assert!((10..=100).contains(&beyond), "{beyond}");
}
