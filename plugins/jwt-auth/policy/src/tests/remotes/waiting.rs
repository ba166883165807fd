//! Requests that wait for a document.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn before_there_are_keys_requests_wait_and_then_pass() {
    let mut fetching = remote_keys();
    let token = token_of("a");
    let until = fetching.world.now.steady + Nanos::from_secs(2);
    assert_eq!(fetching.world.judge(&token), Verdict::Wait { until });
    let ticket = fetching.ticket();
    assert!(waits(fetching.world.judge(&token)));
    fetching.succeed(ticket, &keys(&["a"]));
    assert!(matches!(fetching.poll(), Polled::Installed(_)));
    assert_eq!(fetching.world.judge(&token), VERIFIED);
}

#[test]
fn requests_do_not_wait_longer_than_a_fetch_may_take() {
    let mut fetching = remote_keys();
    fetching.world.wait_status = WaitStatus::Waited(Nanos::from_secs(2));
    let outcome = fetching.world.bearer(&token_of("a"));
    assert_eq!(outcome.decision.verdict(), refused(Reason::KeysUnavailable));
    assert_eq!(outcome.status(), Some(503));
}

#[test]
fn requests_wait_through_a_short_pause_but_not_through_a_long_one() {
    let mut fetching = remote_keys();
    let token = token_of("a");
    // The next attempt is a second after the first, and two seconds after the second.
    for (attempt, verdict_after) in [(1, None), (2, Some(Reason::KeysUnavailable))] {
        assert!(waits(fetching.world.judge(&token)), "{attempt}");
        let ticket = fetching.ticket();
        fetching.fail(ticket);
        assert!(waits(fetching.world.judge(&token)), "{attempt}");
        assert_eq!(fetching.poll(), Polled::Postponed);
        match verdict_after {
            None => {
                assert!(waits(fetching.world.judge(&token)));
                assert_eq!(fetching.poll(), Polled::Unchanged, "it is not time yet");
                fetching.world.advance(1);
            }
            Some(reason) => assert_eq!(fetching.world.judge(&token), refused(reason)),
        }
    }
    let reply = fetching.world.bearer(&token).reply.unwrap();
    assert_eq!(reply.status, 503);
    let retry_after = (Bytes::from("retry-after"), Bytes::from("2"));
    assert!(reply.headers.contains(&retry_after), "{reply:?}");

    fetching.world.advance(1);
    assert!(waits(fetching.world.judge(&token)));
    assert_eq!(fetching.poll(), Polled::Postponed, "still");
    fetching.world.advance(1);
    fetching.install(&keys(&["a"]));
    assert_eq!(fetching.world.judge(&token), VERIFIED);
}

#[test]
fn what_is_refused_anyway_does_not_wait() {
    let mut config = one_provider(json!({}));
    config["providers"]["device"] = json!({
        "issuer": "https://d.example",
        "from": [{"header": "x-device"}],
        "jwks": {"remote": {"cluster": "idp", "uri": "https://d.example/jwks"}},
    });
    config["rules"] = json!([
        {"name": "both", "require": {"all": ["device", "corp"]}, "allow_missing": true},
    ]);
    let mut world = World::new(config);
    let device = token(json!({"iss": "https://d.example"}));
    let (good, forged) = (
        format!("Bearer {}", token(json!({}))),
        format!("Bearer {}", forged(json!({}))),
    );
    let mut verdict = |headers: &[(&str, &str)]| world.verdict(headers);
    assert!(waits(verdict(&[
        ("x-device", &device),
        ("authorization", &good)
    ])));
    assert_eq!(verdict(&[("x-device", &device)]), refused(Reason::NoToken));
    assert_eq!(
        verdict(&[("x-device", &device), ("authorization", &forged)]),
        refused(Reason::Signature)
    );
}

#[test]
fn too_many_waiting_are_not_joined() {
    let mut fetching = remote_keys();
    fetching.world.wait_status = WaitStatus::NoSlot;
    let outcome = fetching.world.bearer(&token_of("a"));
    assert_eq!(outcome.decision.verdict(), refused(Reason::TooManyWaiting));
    assert_eq!(outcome.status(), Some(503));
    // Still, the request causes a fetch like any other.
    fetching.ticket();
}

#[test]
fn in_shadow_mode_nobody_waits() {
    let mut fetching = remote_keys();
    let mut config = one_provider(
        json!({"jwks": {"remote": {"cluster": "idp", "uri": "https://idp.example/"}}}),
    );
    config["mode"] = json!("shadow");
    fetching.world = World::new(config);
    assert_eq!(
        fetching.world.judge(&token_of("a")),
        Verdict::ShadowRefused(Reason::KeysUnavailable)
    );
}

#[test]
fn a_worker_polls_once_a_second_unless_a_request_waits() {
    let mut fetching = remote_keys();
    let ticket = fetching.ticket();
    let (remote, now) = (fetching.remote(), fetching.world.now.steady);
    let is_due = |fetching: &Fetching, now| {
        let World { policy, state, .. } = &fetching.world;
        policy.is_poll_due(state, remote, now)
    };
    assert!(!is_due(&fetching, now + Nanos::SECOND / 2));
    // A tick that comes slightly early still polls.
    assert!(is_due(&fetching, now + Nanos::SECOND * 9 / 10));
    assert!(
        is_due(&fetching, now - Nanos::from_secs(60)),
        "a clock that went back"
    );
    assert!(waits(fetching.world.judge(&token_of("a"))));
    assert!(is_due(&fetching, now));
    fetching.succeed(ticket, &keys(&["a"]));
    assert!(matches!(fetching.poll(), Polled::Installed(_)));
    assert!(!is_due(&fetching, now));
}
