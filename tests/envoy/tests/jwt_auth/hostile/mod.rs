//! Requests of attackers. Each gets the expected status, no part of it reaches a log, and the plugin keeps working.

mod bytes;
mod claims;
mod keys;
mod sizes;

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_scenarios::tokens::{Algorithm, Issuer, Key, Token, jwks};
use serde_json::json;

use super::{ISSUER, bearer, now, plugin};

/// Envoy with an excessive limit for headers.
fn envoy() -> Envoy {
    let keys = jwks(&[Key::new(Algorithm::RS256, 1), Key::new(Algorithm::ES256, 1)]);
    let filter = plugin(&json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": ISSUER, "audiences": ["shop"], "jwks": {"inline": keys},
            "from": [{"header": "authorization", "prefix": "Bearer "}, {"cookie": "session"},
                {"query": "access_token"}],
            "claims_to_headers": {"x-user": "sub", "x-roles": "roles"},
        }},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    }));
    Envoy::builder()
        .plugin(&filter)
        .connection_manager(json!({
            "max_request_headers_kb": 8192,
            "common_http_protocol_options": {"max_headers_count": 1000},
        }))
        .upstream(echo)
        .start()
}

/// The upstream returns the headers that it received to the client.
fn echo(request: &Request) -> Reply {
    let claims = ["x-user", "x-roles", "x-admin"];
    let fields = request.headers.iter().filter(|(name, _)| {
        let name = std::str::from_utf8(name).unwrap_or_default();
        claims.contains(&name)
    });
    fields.fold(Reply::new(200), |reply, (name, value)| {
        reply.header(name, value)
    })
}

fn token() -> Token {
    Issuer::new(ISSUER, Algorithm::RS256).token(now())
}

/// Sends all, and checks that no VM failed and no token is in the log.
fn assert_statuses(envoy: &Envoy, requests: Vec<(&str, Request, u16)>) {
    let mut wrong = Vec::new();
    for (what, request, expected) in &requests {
        let response = envoy.client().send(request);
        let is_short = response.body.len() < 100;
        if response.status != *expected || !is_short {
            wrong.push(format!("{what}: expected {expected}: {response:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let response = envoy.client().send(&bearer(token().sign()));
    assert_eq!(response.status, 200, "a good token is as good as before");
    envoy.assert_no_vm_failed();
    let log = envoy.log();
    let said: Vec<&str> = log
        .iter()
        .filter_map(|record| record.plugin_message())
        .filter(|message| !message.contains("mode enforce"))
        .collect();
    assert_eq!(said, Vec::<&str>::new(), "clients do not fill the log");
}
