//! Internal redirects: each hop runs through the filters again, with the headers from the previous hop.

use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::{Value, json};

use super::{ISSUER, now, plugin};

/// An Envoy that follows redirects of the upstream: `/moved` leads to `/new`, `/raised` to `/admin/`.
fn builder(issuer: &Issuer, forward: bool, more: Value) -> Builder {
    let mut configuration = json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": ISSUER, "audiences": ["shop"], "jwks": {"inline": issuer.jwks()},
            "forward": forward, "claims_to_headers": {"x-user": "sub"},
        }},
        "rules": [
            {"name": "admin", "match": {"path": {"prefix": "/admin/"}},
             "require": {"provider": "corp"}, "scopes": ["admin"]},
            {"name": "all", "require": {"provider": "corp"}},
        ],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        configuration[field] = value.clone();
    }
    Envoy::builder()
        .plugin(&plugin(&configuration))
        .route(
            json!({"name": "everything", "match": {"prefix": "/"}, "route": {
            "cluster": UPSTREAM, "internal_redirect_policy": {}}}),
        )
        .upstream(|request| match request.target.as_str() {
            "/moved" => Reply::new(302).header("location", "http://test.example/new"),
            "/raised" => Reply::new(302).header("location", "http://test.example/admin/"),
            _ => Reply::new(200),
        })
}

fn get(path: &str, issuer: &Issuer) -> Request {
    let token = issuer.token(now()).sign();
    Request::get(path).header("authorization", format!("Bearer {token}"))
}

fn details(envoy: &Envoy, entries: usize) -> Vec<String> {
    let entries = envoy.wait_for_access_log(entries).into_iter();
    entries.map(|entry| entry.details).collect()
}

#[test]
fn a_token_that_is_forwarded_is_judged_at_each_hop() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let envoy = builder(&issuer, true, json!({})).start();
    assert_eq!(envoy.client().send(&get("/moved", &issuer)).status, 200);
    let received = envoy.upstream().requests();
    let users: Vec<_> = received
        .iter()
        .map(|request| request.headers.all("x-user").collect::<Vec<_>>())
        .collect();
    assert_eq!(users, [[&b"ada"[..]], [b"ada"]]);

    // The upstream cannot redirect a client to a path for which its token does not suffice.
    assert_eq!(envoy.client().send(&get("/raised", &issuer)).status, 403);
    let refused = "jwt_refused{scope,admin}";
    assert_eq!(details(&envoy, 4).last().map(String::as_str), Some(refused));
    envoy.assert_no_vm_failed();
}

#[test]
fn a_token_that_is_taken_away_is_missing_at_the_next_hop() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let envoy = builder(&issuer, false, json!({})).start();
    assert_eq!(envoy.client().send(&get("/moved", &issuer)).status, 401);
    assert_eq!(
        details(&envoy, 2),
        ["internal_redirect", "jwt_refused{no_token,all}"]
    );
    envoy.assert_no_vm_failed();
}

/// The claims' headers from the first hop could select another route for the second one.
#[test]
fn where_rules_look_at_routes_they_must_be_stable() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let rules = json!([
        {"name": "route", "match": {"route": "everything"}, "require": {"provider": "corp"}},
        {"name": "all", "require": {"provider": "corp"}},
    ]);
    for (stable, status) in [(false, 400), (true, 200)] {
        let more = json!({"rules": rules, "stable_routes": stable});
        let envoy = builder(&issuer, true, more).start();
        assert_eq!(envoy.client().send(&get("/moved", &issuer)).status, status);
        envoy.assert_no_vm_failed();
    }
}
