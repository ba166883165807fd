//! Values that all configurations share: durations and names.

use portcullis_core::config::{self, Duration, Name};
use portcullis_core::time::Nanos;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn durations_are_written_with_a_unit() {
    let millis = |text: &str| {
        config::read::<Duration>(format!("{text:?}").as_bytes())
            .ok()
            .map(|duration| duration.get().as_millis())
    };
    for (text, expected) in [
        ("0s", 0),
        ("250ms", 250),
        ("10s", 10_000),
        ("1m", 60_000),
        ("24h", 86_400_000),
        ("365d", 31_536_000_000),
        ("3652500d", 315_576_000_000_000),
        ("315576000000000ms", 315_576_000_000_000),
        ("007s", 7_000),
    ] {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for text in [
        "",
        "s",
        "10",
        "-1s",
        "+1s",
        "1.5s",
        "1e3s",
        " 1s",
        "1 s",
        "1s ",
        "1S",
        "1w",
        "1us",
        "1h30m",
        "3652501d",
        "315576000000001ms",
        "18446744073709551616ms",
        "99999999999999999d",
        "１s",
    ] {
        assert_eq!(millis(text), None, "{text}");
    }
    let zero = config::read::<Duration>(b"\"0ms\"").unwrap();
    assert_eq!(zero.to_string(), "0s");
}

#[test]
fn durations_beyond_the_clock_never_end() {
    let nanos = |text: &str| {
        let duration = config::read::<Duration>(format!("{text:?}").as_bytes());
        duration.unwrap().nanos()
    };
    assert_eq!(nanos("250ms"), Nanos::from_millis(250));
    assert_eq!(nanos("365d"), Nanos::from_secs(31_536_000));
    assert_eq!(nanos("3652500d"), Nanos::MAX);
}

#[test]
fn names_are_short_and_plain() {
    let name = |text: &str| config::read::<Name>(format!("{text:?}").as_bytes()).is_ok();
    let longest = "a".repeat(64);
    for text in ["a", "A-z_0.9/x", &longest] {
        assert!(name(text), "{text}");
    }
    let too_long = "a".repeat(65);
    for text in ["", " ", "a b", "a=b", "a,b", "ä", &too_long] {
        assert!(!name(text), "{text}");
    }
}

proptest! {
    #[test]
    fn a_duration_is_shown_as_it_would_be_written(
        number in 0..=3_652_500_u64,
        unit in prop::sample::select(&["ms", "s", "m", "h", "d"][..]),
    ) {
        let read = |text: &str| config::read::<Duration>(format!("{text:?}").as_bytes());
        let duration = read(&format!("{number}{unit}")).unwrap();
        let shown = duration.to_string();
        prop_assert!(shown.len() <= format!("{number}{unit}").len(), "{}", shown);
        prop_assert_eq!(read(&shown).unwrap(), duration);
    }
}
