//! Remote keys: rotation, age, and unusable sets.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn an_unknown_kid_waits_for_one_fetch() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    fetching.world.advance(5);
    assert!(waits(fetching.world.judge(&token_of("b"))));
    fetching.install(&keys(&["a", "b"]));
    assert_eq!(fetching.world.judge(&token_of("b")), VERIFIED);

    // The next fetch would come too soon: invented key ids must not cause constant fetches.
    assert!(waits(fetching.world.judge(&token_of("made-up"))));
    assert_eq!(fetching.poll(), Polled::Postponed);
    for kid in ["made-up", "another"] {
        assert_eq!(
            fetching.world.judge(&token_of(kid)),
            refused(Reason::UnknownKey)
        );
    }
    assert_eq!(fetching.world.judge(&token_of("a")), VERIFIED);
    fetching.world.advance(30);
    assert!(waits(fetching.world.judge(&token_of("made-up"))));
}

#[test]
fn an_unknown_kid_that_stays_unknown_is_a_bad_token() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    fetching.world.advance(5);
    assert!(waits(fetching.world.judge(&token_of("b"))));
    let ticket = fetching.ticket();
    fetching.succeed(ticket, &keys(&["a"]));
    assert_eq!(fetching.poll(), Polled::Postponed);
    let outcome = fetching.world.bearer(&token_of("b"));
    assert_eq!(outcome.status(), Some(401));
}

#[test]
fn a_key_that_is_gone_takes_its_tokens_along() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a", "b"]));
    assert_eq!(fetching.world.judge(&token_of("a")), VERIFIED);
    fetching.world.advance(590);
    fetching.install(&keys(&["b"]));
    assert!(waits(fetching.world.judge(&token_of("a"))));
    assert_eq!(fetching.world.judge(&token_of("b")), VERIFIED);
}

#[test]
fn a_bad_signature_is_verified_again_with_other_keys() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    let forged = forged(json!({}));
    for _ in 0..2 {
        assert_eq!(fetching.world.judge(&forged), refused(Reason::Signature));
    }
    assert_eq!(fetching.world.signatures(), 1);
    fetching.world.advance(590);
    fetching.install(&keys(&["a", "b"]));
    assert_eq!(fetching.world.judge(&forged), refused(Reason::Signature));
    assert_eq!(fetching.world.signatures(), 1);
}

#[test]
fn stale_keys_serve_until_they_are_too_old() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    let token = token_of("a");
    fetching.world.advance(600 + 86_400 - 1);
    assert_eq!(fetching.world.judge(&token), VERIFIED);
    fetching.world.advance(1);
    assert!(
        waits(fetching.world.judge(&token)),
        "not even from the cache"
    );
}

#[test]
fn the_same_keys_fetched_again_are_younger() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    fetching.world.advance(590);
    let ticket = fetching.ticket();
    fetching.succeed(ticket, &keys(&["a"]));
    assert_eq!(fetching.poll(), Polled::Unchanged);
    fetching.world.advance(600 + 86_400 - 1);
    assert_eq!(fetching.world.judge(&token_of("a")), VERIFIED);
}

/// A worker installs the document that it prepared only if that is the stored one.
#[test]
fn another_worker_may_store_another_document_meanwhile() {
    let mut fetching = remote_keys();
    let ticket = fetching.ticket();
    let (remote, now) = (fetching.remote(), fetching.world.now.steady);
    let schedule = fetching.schedule();
    let World { policy, state, .. } = &mut fetching.world;
    let own = keys(&["a"]).to_string();
    policy.prepare(state, remote, own.as_bytes()).unwrap();
    let others = keys(&["b"]).to_string();
    schedule.succeed(&mut fetching.shared, ticket, now, others.as_bytes(), 0);
    fetching
        .world
        .policy
        .fetch_ended(&mut fetching.world.state, remote);
    assert!(matches!(fetching.poll(), Polled::Installed(_)));
    assert_eq!(fetching.world.judge(&token_of("b")), VERIFIED);
    assert_ne!(fetching.world.judge(&token_of("a")), VERIFIED);
}

#[test]
fn what_cannot_be_used_is_not_stored() {
    let fetching = remote_keys();
    let remote = fetching.remote();
    let World {
        policy, mut state, ..
    } = fetching.world;
    let secret =
        json!({"keys": [{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr0"}]});
    for (body, problem) in [
        (json!({"keys": []}), "no usable key"),
        (json!({"keys": [{"kty": "RSA"}]}), "no usable key"),
        (json!([]), "not a JSON object"),
        (secret, "secret keys"),
    ] {
        let found = policy
            .prepare(&mut state, remote, body.to_string().as_bytes())
            .unwrap_err();
        assert!(found.contains(problem), "{found}");
    }
    assert!(policy.prepare(&mut state, remote, b"<html>").is_err());
    assert_eq!(
        policy.prepare(&mut state, remote, keys(&["a"]).to_string().as_bytes()),
        Ok(())
    );
}

#[test]
fn on_error_never_stands_in_for_a_key() {
    let mut fetching = remote_keys();
    let mut config = one_provider(
        json!({"jwks": {"remote": {"cluster": "idp", "uri": "https://idp.example/"}}}),
    );
    config["on_error"] = json!("allow");
    fetching.world = World::new(config);
    fetching.world.wait_status = WaitStatus::Waited(Nanos::from_secs(2));
    assert_eq!(
        fetching.world.judge(&token_of("a")),
        refused(Reason::KeysUnavailable)
    );
}
