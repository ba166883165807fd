//! The token cache and the bad-signature cache.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn with_cache(tokens: u32) -> World {
    let mut config = one_provider(json!({}));
    config["cache"] = json!({"tokens": tokens});
    World::new(config)
}

#[test]
fn a_token_costs_one_signature() {
    let mut world = with_cache(1000);
    let token = token(json!({}));
    for expected in [&[Verification::Host][..], &[Verification::Cache]] {
        let outcome = world.bearer(&token);
        assert_eq!(outcome.decision.verdict(), VERIFIED);
        assert_eq!(outcome.decision.verifications(), expected);
    }
    assert_eq!(world.signatures(), 1);
}

#[test]
fn the_whole_token_counts() {
    let mut world = with_cache(1000);
    assert_eq!(world.judge(&token(json!({}))), VERIFIED);
    assert_eq!(world.judge(&forged(json!({}))), refused(Reason::Signature));
    assert_eq!(world.signatures(), 2);
}

#[test]
fn the_end_of_a_known_token_makes_no_other_one_good() {
    let mut world = with_cache(1000);
    let signature = "good".repeat(100);
    let header = json!({"alg": "RS256", "kid": "a"});
    let claims = |sub| json!({"iss": IDP, "sub": sub, "exp": START + 600});
    let good = signed(&header, &claims("ada"), &signature);
    let (input, end) = good.rsplit_once('.').unwrap();
    assert!(end.len() > 64);
    world.judge(&good);
    world.signatures();
    // The known end with other claims, and the known claims with another beginning of the signature.
    let other = signed(&header, &claims("eve"), &signature);
    let bent = format!("{input}.AAAA{}", end.split_at(4).1);
    for token in [&other, &bent] {
        world.judge(token);
        assert_eq!(world.signatures(), 1, "{token}");
    }
}

#[test]
fn times_count_for_known_tokens_too() {
    let mut world = with_cache(1000);
    let token = token(json!({"nbf": START}));
    assert_eq!(world.judge(&token), VERIFIED);
    world.now.wall = UnixSeconds::new(START + 659);
    assert_eq!(world.judge(&token), VERIFIED);
    world.now.wall = UnixSeconds::new(START + 660);
    assert_eq!(world.judge(&token), refused(Reason::Expired));
    // The wall clock was set back.
    world.now.wall = UnixSeconds::new(START - 61);
    assert_eq!(world.judge(&token), refused(Reason::NotYetValid));
}

#[test]
fn without_room_nothing_is_remembered() {
    let mut world = with_cache(0);
    for _ in 0..3 {
        assert_eq!(world.judge(&token(json!({}))), VERIFIED);
    }
    assert_eq!(world.signatures(), 3);
}

#[test]
fn the_token_that_was_used_longest_ago_is_forgotten() {
    let mut world = with_cache(2);
    let tokens = ["a", "b", "c"].map(|sub| token(json!({"sub": sub})));
    let [a, b, c] = &tokens;
    for token in [a, b, a, c] {
        assert_eq!(world.judge(token), VERIFIED);
    }
    assert_eq!(world.signatures(), 3);
    assert_eq!(world.judge(a), VERIFIED);
    assert_eq!(world.signatures(), 0);
    assert_eq!(world.judge(b), VERIFIED);
    assert_eq!(world.signatures(), 1);
}

#[test]
fn large_tokens_take_the_room_of_several() {
    let mut world = with_cache(10);
    let large = |sub: &str| token(json!({"sub": sub, "groups": "g".repeat(9_000)}));
    let small = token(json!({}));
    assert_eq!(world.judge(&small), VERIFIED);
    // 20 KiB in all: the small token fits with one of 12 KiB, not with two.
    assert_eq!(world.judge(&large("a")), VERIFIED);
    assert_eq!(world.judge(&small), VERIFIED);
    assert_eq!(world.judge(&large("b")), VERIFIED);
    assert_eq!(world.signatures(), 3);
    assert_eq!(world.judge(&small), VERIFIED);
    assert_eq!(world.signatures(), 0);
    assert_eq!(world.judge(&large("a")), VERIFIED);
    assert_eq!(world.signatures(), 1);
}

#[test]
fn a_bad_signature_costs_one_verification() {
    let mut world = with_cache(1000);
    for expected in [Verification::Failed, Verification::KnownBadSignature] {
        let outcome = world.bearer(&forged(json!({})));
        assert_eq!(outcome.decision.verdict(), refused(Reason::Signature));
        assert_eq!(outcome.decision.verifications(), [expected]);
    }
    assert_eq!(world.signatures(), 1);
}

#[test]
fn bad_signatures_evict_no_valid_token() {
    let mut world = with_cache(2);
    let good = token(json!({}));
    assert_eq!(world.judge(&good), VERIFIED);
    for number in 0..2_000 {
        let forged = forged(json!({ "sub": number.to_string() }));
        assert_eq!(world.judge(&forged), refused(Reason::Signature));
    }
    world.signatures();
    assert_eq!(world.judge(&good), VERIFIED);
    assert_eq!(world.signatures(), 0);
}
