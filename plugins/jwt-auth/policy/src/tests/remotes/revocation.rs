//! Remote revocation lists.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Case F10: for any phases of the ticks, a revocation takes effect within `refresh` and a second.
#[test]
fn a_revocation_is_in_effect_within_refresh_and_a_second() {
    for (refresh, phase) in [(1, 0), (1, 80), (1, 249), (3, 130), (10, 100), (30, 700)] {
        let mut config = one_provider(json!({}));
        config["revocation"] = json!({"remote": {
            "cluster": "idp", "uri": "https://idp.example/r", "refresh": format!("{refresh}s"),
        }});
        let policy = policy(config);
        let remote = policy.remotes().next().unwrap().0;
        let schedule = policy.remotes().next().unwrap().1.schedule;
        let period = policy.poll_period().unwrap();
        let mut states = [7, 8].map(|seed| policy.state(Seed::new([seed; 16])));
        let mut shared = Vec::new();
        // The ticks of the two workers come slightly early; each answer takes 300 ms.
        let start = Nanos::from_secs(START);
        let mut next = [start, start + Nanos::from_millis(phase)];
        let mut answer: Option<(Nanos, Ticket, Vec<u8>)> = None;
        let mut revoked_at = start;
        let mut is_known = [false; 2];
        let mut fetches = 0;
        let mut now = next[0];
        while is_known != [true; 2] {
            now += Nanos::MILLISECOND;
            // The token is revoked right after the second fetch has read the old list.
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
                    next[worker] = now + period - Nanos::from_millis(5);
                }
                if !policy.is_poll_due(state, remote, now) {
                    continue;
                }
                match policy
                    .poll(state, remote, &mut shared, now, Role::Fetcher)
                    .outcome
                {
                    Polled::Fetch(ticket) => {
                        fetches += 1;
                        answer = Some((
                            now + Nanos::from_millis(300),
                            ticket,
                            list.to_string().into(),
                        ));
                        if fetches == 2 {
                            revoked_at = now;
                        }
                    }
                    Polled::Installed(installed) => is_known[worker] = installed.entries == 1,
                    _ => {}
                }
            }
        }
        let took = (now - revoked_at).ceil_millis();
        assert!(
            took <= refresh * 1_000 + 1_000,
            "{refresh} s, {phase}: {took} ms"
        );
    }
}

#[test]
fn a_list_revokes_what_was_verified_before() {
    let mut fetching = remote_list("deny");
    let tokens = ["x", "y"].map(|jti| token(json!({"jti": jti, "exp": START + 9_000})));
    let [x, y] = &tokens;
    assert!(waits(fetching.world.judge(x)), "until there is a list");
    // A token that cannot be revoked, or is revoked already, does not wait.
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

    // The last list stays in use, however old.
    fetching.world.advance(8_000);
    assert_eq!(fetching.world.judge(x), refused(Reason::Revoked));
}

#[test]
fn without_a_list_on_error_decides() {
    let token = token(json!({"jti": "x"}));
    let mut deny = remote_list("deny");
    deny.world.wait_status = WaitStatus::Waited(Nanos::from_secs(2));
    let outcome = deny.world.bearer(&token);
    assert_eq!(
        outcome.decision.verdict(),
        refused(Reason::RevocationUnavailable)
    );
    assert_eq!(outcome.status(), Some(503));
    let mut allow = remote_list("allow");
    assert_eq!(allow.world.judge(&token), VERIFIED);
}
