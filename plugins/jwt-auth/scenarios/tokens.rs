//! Valid tokens: access, removal and cost.

use serde_json::json;

use super::signer::token;
use super::{one_provider, plugin, scenario, status, verifications, with_rules, with_token};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let everywhere = json!({"from": [
        {"header": "authorization", "prefix": "Bearer "},
        {"header": "x-token"},
        {"cookie": "session"},
        {"query": "access_token"},
    ]});
    vec![
        scenario(
            "jwt_auth::a_good_token_opens_and_is_taken_away",
            one_provider(json!({})),
            a_good_token_opens_and_is_taken_away,
        ),
        scenario(
            "jwt_auth::a_token_is_forwarded_where_that_is_wanted",
            one_provider(json!({"forward": true})),
            a_token_is_forwarded_where_that_is_wanted,
        ),
        scenario(
            "jwt_auth::tokens_in_other_places_are_taken_away_and_nothing_else",
            one_provider(everywhere),
            tokens_in_other_places_are_taken_away_and_nothing_else,
        ),
        scenario(
            "jwt_auth::a_token_costs_one_signature_per_worker",
            one_provider(json!({})),
            a_token_costs_one_signature_per_worker,
        ),
        Scenario {
            name: "jwt_auth::rate_limit_counts_by_verified_claims",
            filters: vec![
                plugin(&with_rules(
                    json!({}),
                    json!([{"name": "all", "require": {"provider": "corp"}, "allow_missing": true}]),
                )),
                crate::Filter::Plugin {
                    module: "rate_limit",
                    config: json!({"limits": [
                        {"name": "user", "key": [{"claim": "sub"}], "rate": {"requests": 1, "per": "1h"}},
                    ]})
                    .to_string(),
                },
            ],
            story: rate_limit_counts_by_verified_claims,
        },
    ]
}

fn a_good_token_opens_and_is_taken_away(world: &mut dyn World) {
    let request = Request::get("/x?a=1").header("x-other", "stays");
    let response = world.send(with_token(request, &token(json!({}))));
    assert_eq!(response.status, 200);
    let received = world.received();
    assert_eq!(received.len(), 1);
    for request in received {
        assert_eq!(request.get_header("authorization"), None);
        assert_eq!(request.get_header("x-other").as_deref(), Some("stays"));
        assert_eq!(request.path, "/x?a=1");
    }
}

fn a_token_is_forwarded_where_that_is_wanted(world: &mut dyn World) {
    let token = token(json!({}));
    assert_eq!(status(world, &token), 200);
    let received = world.received();
    let sent = received
        .first()
        .and_then(|request| request.get_header("authorization"));
    assert_eq!(sent, Some(format!("Bearer {token}")));
}

fn tokens_in_other_places_are_taken_away_and_nothing_else(world: &mut dyn World) {
    let token = token(json!({}));
    for request in [
        Request::get("/x?a=%41&b").header("x-token", &token),
        Request::get("/x?a=%41&b").header("authorization", format!("bearer {token}")),
        Request::get(&format!("/x?a=%41&access_token={token}&b")),
        Request::get(&format!("/x?access_token={token}&a=%41&b")),
        Request::get("/x?a=%41&b").header("cookie", format!("session={token}")),
    ] {
        let response = world.send(request.header("x-other", "stays"));
        assert_eq!(response.status, 200);
        for received in world.received() {
            assert_eq!(received.path, "/x?a=%41&b");
            assert_eq!(received.get_header("x-other").as_deref(), Some("stays"));
            for name in ["authorization", "x-token", "cookie"] {
                assert_eq!(received.get_header(name), None, "{name}");
            }
        }
    }
    let cookies = format!("a=\"1\";session={token};  b=2");
    let response = world.send(Request::get("/").header("cookie", cookies));
    assert_eq!(response.status, 200);
    let received = world.received();
    let cookies = received
        .first()
        .and_then(|request| request.get_header("cookie"));
    assert_eq!(cookies.as_deref(), Some("a=\"1\";  b=2"));
}

fn a_token_costs_one_signature_per_worker(world: &mut dyn World) {
    let token = token(json!({}));
    for _ in 0..12 {
        assert_eq!(status(world, &token), 200);
    }
    let (cache, host) = (verifications(world, "cache"), verifications(world, "host"));
    assert_eq!(cache + host, 12);
    // There are two workers.
    assert!((1..=2).contains(&host), "{host}");
}

fn rate_limit_counts_by_verified_claims(world: &mut dyn World) {
    let sub = |sub: &str| token(json!({ "sub": sub }));
    assert_eq!(status(world, &sub("ada")), 200);
    assert_eq!(status(world, &sub("ada")), 429);
    assert_eq!(status(world, &sub("bob")), 200);
    // Requests without a token are counted together: only verified claims count.
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!(world.send(Request::get("/")).status, 429);
}
