//! Attacks: spellings of requests that once reached a handler without its token.

use serde_json::{Value, json};

use super::signer::{forged, token};
use super::{plugin, scenario, with_rules, with_token};
use crate::{Filter, Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let public = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    let api = |rest: Value| {
        json!([
            {"name": "api", "match": {"path": {"prefix": "/api/"}}, "require": {"provider": "corp"}},
            {"name": "rest", "require": rest},
        ])
    };
    let user = json!({"claims_to_headers": {"x-user": "sub"}});
    let admin = json!([
        {"name": "admin", "match": {"path": {"exact": "/admin"}}, "require": {"provider": "corp"}},
        {"name": "below", "match": {"path": {"prefix": "/admin/"}}, "require": {"provider": "corp"}},
        {"name": "rest", "require": "none"},
    ]);
    let cookie = json!({"from": [{"cookie": "session"}]});
    let optional = json!([{"name": "all", "require": {"provider": "corp"}, "allow_missing": true}]);
    vec![
        scenario(
            "jwt_auth::a_header_that_moves_the_path_opens_nothing",
            with_rules(json!({}), public),
            a_header_that_moves_the_path_opens_nothing,
        ),
        scenario(
            "jwt_auth::bytes_that_some_servers_drop_open_nothing",
            with_rules(json!({}), admin.clone()),
            bytes_that_some_servers_drop_open_nothing,
        ),
        scenario(
            "jwt_auth::an_authority_in_the_path_may_have_a_backslash",
            with_rules(json!({}), admin),
            an_authority_in_the_path_may_have_a_backslash,
        ),
        scenario(
            "jwt_auth::a_rule_that_possibly_fits_publishes_its_claims",
            with_rules(user.clone(), api(json!("none"))),
            a_rule_that_possibly_fits_publishes_its_claims,
        ),
        Scenario {
            name: "jwt_auth::a_limit_by_claim_counts_where_a_rule_possibly_fits",
            filters: vec![
                plugin(&with_rules(user, api(json!("none")))),
                Filter::Plugin {
                    module: "rate_limit",
                    config: json!({"limits": [{"name": "by-user", "key": [{"claim": "sub"}], "missing": "skip",
                        "match": {"path": {"prefix": "/api/"}}, "rate": {"requests": 1, "per": "1h"}}]})
                    .to_string(),
                },
            ],
            story: a_limit_by_claim_counts_where_a_rule_possibly_fits,
        },
        scenario(
            "jwt_auth::a_cookie_with_blanks_of_latin1_is_like_a_token",
            with_rules(cookie, optional),
            a_cookie_with_blanks_of_latin1_is_like_a_token,
        ),
        scenario(
            "jwt_auth::head_is_a_spelling_of_get",
            with_rules(
                json!({}),
                json!([
                    {"name": "get", "match": {"methods": ["GET"]}, "require": {"provider": "corp"}},
                    {"name": "rest", "require": "none"},
                ]),
            ),
            head_is_a_spelling_of_get,
        ),
    ]
}

/// gunicorn removes `SCRIPT_NAME` from the path, by default for requests from 127.0.0.1.
fn a_header_that_moves_the_path_opens_nothing(world: &mut dyn World) {
    for name in ["script_name", "path_info", "script.name"] {
        let request = Request::get("/public/admin/x").header(name, "/public");
        let status = world.send(request).status;
        assert!((400..=401).contains(&status), "{status} {name}");
    }
    assert!(world.received().is_empty());
}

/// Bottle decodes with `errors="ignore"` and reads all of these as paths below `/admin`.
fn bytes_that_some_servers_drop_open_nothing(world: &mut dyn World) {
    for path in [
        "/ad%FFmin/x",
        "/%85admin/x",
        "/admin%a0",
        "/admin%C2/x",
        "/admin%ED%A0%80",
    ] {
        let status = world.send(Request::get(path)).status;
        assert!((400..=401).contains(&status), "{status} {path}");
    }
    assert!(world.received().is_empty());
}

/// For CherryPy and Python's `urlsplit`, the authority ends at the next slash.
fn an_authority_in_the_path_may_have_a_backslash(world: &mut dyn World) {
    for path in ["//h\\x/admin/x", "//\\/admin", "//h\\../admin/x"] {
        let status = world.send(Request::get(path)).status;
        assert!((400..=401).contains(&status), "{status} {path}");
    }
    assert!(world.received().is_empty());
}

/// Express runs the handler of `/api/x`, which trusts `x-user`.
fn a_rule_that_possibly_fits_publishes_its_claims(world: &mut dyn World) {
    let request = with_token(Request::get("/API/x"), &token(json!({})));
    assert_eq!(world.send(request).status, 200);
    for request in world.received() {
        assert_eq!(request.get_header("x-user").as_deref(), Some("ada"));
        assert_eq!(request.get_header("authorization"), None);
    }
}

fn a_limit_by_claim_counts_where_a_rule_possibly_fits(world: &mut dyn World) {
    let good = token(json!({}));
    let mut send = |path: &str| world.send(with_token(Request::get(path), &good)).status;
    assert_eq!([send("/api/x"), send("/api/x")], [200, 429]);
    assert_eq!([send("/API/x"), send("/Api/x"), send("/api")], [429; 3]);
}

/// Starlette and wsgiref with `http.cookies` find the cookie `session`.
fn a_cookie_with_blanks_of_latin1_is_like_a_token(world: &mut dyn World) {
    let forged = forged(json!({}));
    for start in [
        &b"\xa0session="[..],
        b"\x85session=",
        b"session\xa0=",
        b"x=1;\xa0session=",
        b"=session=",
    ] {
        let cookie = [start, forged.as_bytes()].concat();
        let status = world
            .send(Request::get("/").header("cookie", cookie))
            .status;
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(start));
    }
    assert!(world.received().is_empty());
}

/// Nearly all frameworks run the handler of GET.
fn head_is_a_spelling_of_get(world: &mut dyn World) {
    assert_eq!(world.send(Request::get("/admin")).status, 401);
    assert_eq!(world.send(Request::new("HEAD", "/admin")).status, 401);
}
