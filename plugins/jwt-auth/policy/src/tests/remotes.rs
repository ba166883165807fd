//! Keys and lists that are fetched, and requests that wait for them.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::remote::Ticket;
use portcullis_table::Edit;

/// A worker, and the value that it shares with others.
struct Fetching {
    world: World,
    shared: Vec<u8>,
}

impl Fetching {
    fn new(config: Value) -> Self {
        Self {
            world: World::new(config),
            shared: Vec::new(),
        }
    }

    fn remote(&self) -> RemoteId {
        self.world.policy.remotes().next().unwrap().0
    }

    fn poll(&mut self) -> Polled {
        let (remote, now) = (self.remote(), self.world.now.steady);
        let World { policy, state, .. } = &mut self.world;
        if !policy.is_poll_due(state, remote, now) {
            return Polled::Unchanged;
        }
        policy.poll(state, remote, &mut self.shared, now).outcome
    }

    /// Looks, and expects to be the one who fetches.
    fn ticket(&mut self) -> Ticket {
        match self.poll() {
            Polled::Fetch(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn succeed(&mut self, ticket: Ticket, body: &Value) {
        let body = body.to_string();
        let remote = self.remote();
        let World { policy, state, .. } = &mut self.world;
        policy.prepare(state, remote, body.as_bytes()).unwrap();
        let now = self.world.now.steady;
        let schedule = self.schedule();
        schedule.succeed(&mut self.shared, ticket, now, body.as_bytes(), 0);
        self.world.policy.fetch_ended(&mut self.world.state, remote);
    }

    fn fail(&mut self, ticket: Ticket) {
        let (remote, now) = (self.remote(), self.world.now.steady);
        let Edit { outcome, .. } = self.schedule().fail(&mut self.shared, ticket, now, 0, None);
        assert!(outcome);
        self.world.policy.fetch_ended(&mut self.world.state, remote);
    }

    fn schedule(&self) -> crate::remote::Schedule {
        self.world.policy.remotes().next().unwrap().1.schedule
    }

    /// Fetches this, and takes it over.
    fn install(&mut self, body: &Value) {
        let ticket = self.ticket();
        self.succeed(ticket, body);
        assert!(matches!(self.poll(), Polled::Installed(_)));
    }
}

fn remote_keys() -> Fetching {
    let remote = json!({"cluster": "idp", "uri": "https://idp.example/jwks", "timeout": "2s"});
    Fetching::new(one_provider(json!({"jwks": {"remote": remote}})))
}

fn remote_list(on_error: &str) -> Fetching {
    let mut config = one_provider(json!({}));
    config["on_error"] = json!(on_error);
    config["revocation"] = json!({
        "inline": [{"iss": IDP, "jti": "inline"}],
        "remote": {"cluster": "idp", "uri": "https://idp.example/revoked"},
    });
    Fetching::new(config)
}

fn keys(kids: &[&str]) -> Value {
    let keys: Vec<Value> = kids.iter().map(|kid| key(kid)).collect();
    json!({ "keys": keys })
}

fn token_of(kid: &str) -> String {
    let claims = json!({"iss": IDP, "exp": START + 1_000_000});
    signed(&json!({"alg": "RS256", "kid": kid}), &claims, "good")
}

fn waits(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Wait { .. })
}

#[test]
fn before_there_are_keys_requests_wait_and_then_pass() {
    let mut fetching = remote_keys();
    let token = token_of("a");
    let until = fetching.world.now.steady + 2 * SECOND;
    assert_eq!(fetching.world.judge(&token), Verdict::Wait { until });
    let ticket = fetching.ticket();
    assert!(waits(fetching.world.judge(&token)));
    fetching.succeed(ticket, &keys(&["a"]));
    assert!(matches!(fetching.poll(), Polled::Installed(_)));
    assert_eq!(fetching.world.judge(&token), VERIFIED);
}

#[test]
fn requests_do_not_wait_for_longer_than_a_fetch_may_take() {
    let mut fetching = remote_keys();
    fetching.world.wait_status = WaitStatus::Waited(2 * SECOND);
    let passage = fetching.world.bearer(&token_of("a"));
    assert_eq!(passage.decision.verdict(), refused(Reason::KeysUnavailable));
    assert_eq!(passage.status(), Some(503));
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
fn an_unknown_kid_waits_for_one_fetch() {
    let mut fetching = remote_keys();
    fetching.install(&keys(&["a"]));
    fetching.world.advance(5);
    assert!(waits(fetching.world.judge(&token_of("b"))));
    fetching.install(&keys(&["a", "b"]));
    assert_eq!(fetching.world.judge(&token_of("b")), VERIFIED);

    // The next one comes too soon: nobody can make us fetch all the time.
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
    let passage = fetching.world.bearer(&token_of("b"));
    assert_eq!(passage.status(), Some(401));
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
fn forgeries_are_looked_at_anew_with_other_keys() {
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

/// Case F10: whatever the phases of the ticks, a revocation is in effect within `refresh` and a second.
#[test]
fn a_revocation_is_in_effect_within_refresh_and_a_second() {
    const MILLISECOND: u64 = SECOND / 1_000;
    for (refresh, phase) in [(1, 0), (1, 80), (1, 249), (3, 130), (10, 100), (30, 700)] {
        let mut config = one_provider(json!({}));
        config["revocation"] = json!({"remote": {
            "cluster": "idp", "uri": "https://idp.example/r", "refresh": format!("{refresh}s"),
        }});
        let policy = policy(config);
        let remote = policy.remotes().next().unwrap().0;
        let schedule = policy.remotes().next().unwrap().1.schedule;
        let period = policy.period().unwrap();
        let mut states = [7, 8].map(|seed| policy.state(Seed::new([seed; 16])));
        let mut shared = Vec::new();
        // The ticks of the two workers, a little early; each answer takes 300 ms.
        let mut next = [START * SECOND, START * SECOND + phase * MILLISECOND];
        let mut answer: Option<(u64, Ticket, Vec<u8>)> = None;
        let mut revoked_at = 0;
        let mut is_known = [false; 2];
        let mut fetches = 0;
        let mut now = next[0];
        while is_known != [true; 2] {
            now += MILLISECOND;
            // Right after the second fetch has got the old list.
            let list = match fetches >= 2 {
                true => json!({"revoked": [{"iss": IDP, "jti": "x"}]}),
                false => json!({"revoked": []}),
            };
            for (worker, state) in states.iter_mut().enumerate() {
                if answer
                    .as_ref()
                    .is_some_and(|(at, ..)| worker == 0 && *at <= now)
                {
                    let (_, ticket, body) = answer.take().unwrap();
                    policy.prepare(state, remote, &body).unwrap();
                    schedule.succeed(&mut shared, ticket, now, &body, u64::MAX);
                    policy.fetch_ended(state, remote);
                } else if now < next[worker] {
                    continue;
                } else {
                    next[worker] = now + period - 5 * MILLISECOND;
                }
                if !policy.is_poll_due(state, remote, now) {
                    continue;
                }
                match policy.poll(state, remote, &mut shared, now).outcome {
                    Polled::Fetch(ticket) => {
                        fetches += 1;
                        answer = Some((now + 300 * MILLISECOND, ticket, list.to_string().into()));
                        if fetches == 2 {
                            revoked_at = now;
                        }
                    }
                    Polled::Installed(installed) => is_known[worker] = installed.entries == 1,
                    _ => {}
                }
            }
        }
        let took = (now - revoked_at) / MILLISECOND;
        assert!(
            took <= refresh * 1_000 + 1_000,
            "{refresh} s, {phase}: {took} ms"
        );
    }
}

/// What was read when it was fetched is taken over only if it is what is stored.
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
fn too_many_waiting_are_not_joined() {
    let mut fetching = remote_keys();
    fetching.world.wait_status = WaitStatus::NoSlot;
    let passage = fetching.world.bearer(&token_of("a"));
    assert_eq!(passage.decision.verdict(), refused(Reason::TooManyWaiting));
    assert_eq!(passage.status(), Some(503));
    // But it asks for the keys like everybody else.
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
fn a_list_revokes_what_was_verified_before() {
    let mut fetching = remote_list("deny");
    let tokens = ["x", "y"].map(|jti| token(json!({"jti": jti, "exp": START + 9_000})));
    let [x, y] = &tokens;
    assert!(waits(fetching.world.judge(x)), "until there is a list");
    // What cannot be revoked, or is already, does not wait.
    assert_eq!(fetching.world.judge(&token(json!({}))), VERIFIED);
    let inline = token(json!({"jti": "inline"}));
    assert_eq!(fetching.world.judge(&inline), refused(Reason::Revoked));

    fetching.install(&json!({"revoked": []}));
    for token in &tokens {
        assert_eq!(fetching.world.judge(token), VERIFIED);
    }
    fetching.world.signatures();
    fetching.world.advance(30);
    fetching.install(&json!({"revoked": [{"iss": IDP, "jti": "x", "exp": START + 9_000}]}));
    assert_eq!(fetching.world.judge(x), refused(Reason::Revoked));
    assert_eq!(fetching.world.judge(y), VERIFIED);
    assert_eq!(
        fetching.world.signatures(),
        0,
        "the others stay in the cache"
    );
    assert_eq!(fetching.world.judge(&inline), refused(Reason::Revoked));

    // However old it is, the last list counts.
    fetching.world.advance(8_000);
    assert_eq!(fetching.world.judge(x), refused(Reason::Revoked));
}

#[test]
fn without_a_list_on_error_decides() {
    let token = token(json!({"jti": "x"}));
    let mut deny = remote_list("deny");
    deny.world.wait_status = WaitStatus::Waited(2 * SECOND);
    let passage = deny.world.bearer(&token);
    assert_eq!(
        passage.decision.verdict(),
        refused(Reason::RevocationUnavailable)
    );
    assert_eq!(passage.status(), Some(503));
    let mut allow = remote_list("allow");
    assert_eq!(allow.world.judge(&token), VERIFIED);
}

#[test]
fn on_error_never_stands_in_for_a_key() {
    let mut fetching = remote_keys();
    let mut config = one_provider(
        json!({"jwks": {"remote": {"cluster": "idp", "uri": "https://idp.example/"}}}),
    );
    config["on_error"] = json!("allow");
    fetching.world = World::new(config);
    fetching.world.wait_status = WaitStatus::Waited(2 * SECOND);
    assert_eq!(
        fetching.world.judge(&token_of("a")),
        refused(Reason::KeysUnavailable)
    );
}

#[test]
fn a_worker_looks_once_a_second_unless_somebody_waits() {
    let mut fetching = remote_keys();
    let ticket = fetching.ticket();
    let (remote, now) = (fetching.remote(), fetching.world.now.steady);
    let is_time = |fetching: &Fetching, now| {
        let World { policy, state, .. } = &fetching.world;
        policy.is_poll_due(state, remote, now)
    };
    assert!(!is_time(&fetching, now + SECOND / 2));
    // A tick that comes a little early is not one too many.
    assert!(is_time(&fetching, now + SECOND * 9 / 10));
    assert!(
        is_time(&fetching, now - 60 * SECOND),
        "a clock that went back"
    );
    assert!(waits(fetching.world.judge(&token_of("a"))));
    assert!(is_time(&fetching, now));
    fetching.succeed(ticket, &keys(&["a"]));
    assert!(matches!(fetching.poll(), Polled::Installed(_)));
    assert!(!is_time(&fetching, now));
}
