//! Look-ups in a list.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn list(entries: &[Value]) -> RevocationList {
    parse(&json!({"revoked": entries}).to_string())
}

#[test]
fn issuer_and_jti_count_together_and_byte_by_byte() {
    let list = list(&[
        json!({"iss": IDP, "jti": "abc"}),
        json!({"iss": "b", "jti": "cd"}),
    ]);
    assert!(list.contains(IDP, "abc", NOW, SKEW));
    for (iss, jti) in [
        (IDP, "cd"),
        ("b", "abc"),
        (IDP, "ABC"),
        (IDP, "ab"),
        (IDP, "abc "),
        (IDP, ""),
        ("https://idp.example/", "abc"),
        ("HTTPS://idp.example", "abc"),
        ("", "abc"),
        ("bc", "d"),
        ("", "bcd"),
    ] {
        assert!(!list.contains(iss, jti, NOW, SKEW), "{iss} {jti}");
    }
}

/// An unlisted token is accepted until `clock_skew` after its `exp`, so a listed one must be refused until then.
#[test]
fn an_entry_dies_with_its_token() {
    let list = list(&[json!({"iss": IDP, "jti": "a", "exp": SECONDS})]);
    for (now, is_revoked) in [
        (UnixSeconds::new(0), true),
        (NOW, true),
        (NOW.plus(SKEW - 1), true),
        (NOW.plus(SKEW), false),
        (LAST, false),
    ] {
        assert_eq!(list.contains(IDP, "a", now, SKEW), is_revoked, "{now}");
    }
}

#[test]
fn an_entry_without_exp_stays() {
    let list = list(&[json!({"iss": IDP, "jti": "a"})]);
    assert!(list.contains(IDP, "a", LAST, SKEW));
}

#[test]
fn of_two_entries_the_one_that_lives_longer_counts() {
    let early = json!({"iss": IDP, "jti": "a", "exp": SECONDS - 1000});
    let late = json!({"iss": IDP, "jti": "a", "exp": SECONDS + 1000});
    let endless = json!({"iss": IDP, "jti": "a"});
    for (entries, then) in [
        ([&early, &late], false),
        ([&late, &early], false),
        ([&late, &endless], true),
        ([&endless, &early], true),
    ] {
        let [first, second] = entries.map(Clone::clone);
        let together = list(&[first.clone(), second.clone()]);
        let merged = list(&[first]).merge(list(&[second]));
        for list in [together, merged] {
            assert_eq!(list.len(), 1);
            assert!(list.contains(IDP, "a", NOW, SKEW));
            assert_eq!(list.contains(IDP, "a", NOW.plus(2000), SKEW), then);
        }
    }
}

#[test]
fn a_merged_list_has_both() {
    let inline = Revoked {
        iss: IDP.to_owned(),
        jti: "inline".to_owned(),
    };
    let inline = RevocationList::inline(&[inline], &seed());
    let remote = list(&[json!({"iss": IDP, "jti": "remote", "exp": SECONDS})]);
    let both = inline.clone().merge(remote.clone());
    for (jti, lists) in [("inline", [&inline, &both]), ("remote", [&remote, &both])] {
        assert!(lists.iter().all(|list| list.contains(IDP, jti, NOW, SKEW)));
    }
    assert!(!inline.contains(IDP, "remote", NOW, SKEW));
    assert!(both.contains(IDP, "inline", LAST, SKEW));
}

#[test]
fn an_empty_list_revokes_nothing() {
    for list in [list(&[]), RevocationList::inline(&[], &seed())] {
        assert!(list.is_empty());
        assert!(!list.contains(IDP, "a", NOW, SKEW));
        assert!(!list.contains("", "", NOW, SKEW));
    }
}

proptest! {
    #[test]
    fn a_list_is_a_set_of_tokens_with_ends(
        entries in prop::collection::vec(("[ab]{1,2}", "[ab]{1,2}", prop::option::of(0..50_u64)), 0..40),
        split in any::<prop::sample::Index>(),
        now in 0..70_u64,
        skew in 0..20_u64,
    ) {
        let mut ends = HashMap::<_, u64>::new();
        for (iss, jti, exp) in &entries {
            let end = ends.entry((iss.as_str(), jti.as_str())).or_default();
            *end = (*end).max(exp.map_or(u64::MAX, |exp| exp + skew));
        }
        let json = entries.iter().map(|(iss, jti, exp)| json!({"iss": iss, "jti": jti, "exp": exp}));
        let json: Vec<Value> = json.collect();
        let (one, other) = json.split_at(split.index(json.len() + 1));
        let merged = list(one).merge(list(other));
        prop_assert_eq!(merged.len(), ends.len());
        for iss in ["a", "b", "aa", "ab", "ba", "bb", "c"] {
            for jti in ["a", "b", "aa", "ab", "ba", "bb", "c"] {
                let is_revoked = ends.get(&(iss, jti)).is_some_and(|end| now < *end);
                let now = UnixSeconds::new(now);
                prop_assert_eq!(list(&json).contains(iss, jti, now, skew), is_revoked);
                prop_assert_eq!(merged.contains(iss, jti, now, skew), is_revoked);
            }
        }
    }
}
