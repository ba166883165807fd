//! The plugins, and what is tried on each.

use std::time::Duration;

use serde_json::{Value, json};

use super::Subject;
use crate::jwt_auth::{expired_token, good_token, keys};
use crate::{Cluster, RETRIED_PREFIX, Request, Response, SHOP_PREFIX, Upstream, World};

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            name: "security-headers",
            config: security_headers_config,
            columns: &["response over TLS", "cross-site POST", "made-up nonce"],
            observe: security_headers,
            errors: &["portcullis.security_headers.policy=.=edge;.;errors"],
        },
        Subject {
            name: "jwt-auth",
            config: jwt_auth_config,
            columns: &["good token", "expired token", "made-up `x-user`"],
            observe: jwt_auth,
            errors: &[
                "portcullis.jwt_auth.policy=.=edge;.;rule=.=unmatched;.;outcome=.=refused;.;reason=.=error;.;decisions",
                "portcullis.jwt_auth.policy=.=edge;.;rule=.=default;.;outcome=.=refused;.;reason=.=keys_unavailable;.;decisions",
            ],
        },
        Subject {
            name: "rate-limit",
            config: rate_limit_config,
            columns: &["first request", "beyond the limit"],
            observe: rate_limit,
            errors: &["portcullis.rate_limit.policy=.=edge;.;limit=.=all;.;errors"],
        },
        Subject {
            name: "circuit-breaker",
            config: circuit_breaker_config,
            columns: &["first request", "when all others fail"],
            observe: circuit_breaker,
            errors: &["portcullis.circuit_breaker.policy=.=edge;.;breaker=.=all;.;errors"],
        },
        Subject {
            name: "retry-budget",
            config: retry_budget_config,
            columns: &["first request", "failing, budget empty"],
            observe: retry_budget,
            errors: &["portcullis.retry_budget.policy=.=edge;.;budget=.=all;.;errors"],
        },
    ]
}

/// Beyond what a request may take that waits for keys.
const ONCE_TICKS_ARE_OVERDUE: Duration = Duration::from_millis(2_500);

fn status(response: Option<&Response>) -> String {
    response.map_or("held".to_owned(), |response| response.status.to_string())
}

fn security_headers_config() -> Value {
    json!({
        "name": "edge",
        "on_error": "deny",
        "csp": {"directives": {"script-src": ["'self'"]}},
        "headers": [{"name": "x-powered-by", "action": "remove"}],
        "cookies": {"secure": true},
        "cross_site": {"mode": "enforce"},
        "rules": [{
            "name": "shop",
            "match": {"route": "shop"},
            "csp": {"directives": {"script-src": ["'nonce'"]}},
        }],
    })
}

fn security_headers(world: &mut dyn World) -> Vec<String> {
    let answer = Response::new(200)
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("x-powered-by", "php");
    world.upstream(Upstream::Answers(answer));
    let page = Request::get(&format!("{SHOP_PREFIX}page")).tls();
    let response = world.try_send(page);
    let mut cell = status(response.as_ref());
    if let Some(response) = response.filter(|response| response.status == 200) {
        let has_policy = !response.all("content-security-policy").is_empty();
        let has_hsts = !response.all("strict-transport-security").is_empty();
        let cookies = response.all("set-cookie");
        let has_cookies = cookies.iter().all(|line| line.contains("Secure")) && cookies.len() == 2;
        let is_clean = response.all("x-powered-by").is_empty();
        if !(has_policy && has_hsts && has_cookies && is_clean) {
            cell.push_str(", headers missing");
        }
    }
    let post = Request::post("/").header("origin", "https://evil.example");
    let post = world.try_send(post);
    world.received();
    let nonce = Request::get("/").header("x-csp-nonce", "made-up");
    let nonce = world.try_send(nonce);
    let received = world.received();
    let mut reached = received
        .iter()
        .filter(|request| !request.all("x-csp-nonce").is_empty());
    let nonce = match (reached.next(), status(nonce.as_ref())) {
        (None, status) => status,
        (Some(_), status) => format!("{status}, **reached the upstream**"),
    };
    vec![cell, status(post.as_ref()), nonce]
}

fn jwt_auth_config() -> Value {
    json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": "https://idp.example",
            "audiences": ["shop"],
            "jwks": {"remote": {
                "cluster": "idp", "uri": "https://idp.example/keys", "timeout": "1s",
            }},
            "claims_to_headers": {"x-user": "sub"},
        }},
        "stable_routes": true,
        "rules": [
            {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
            {"name": "shop", "match": {"route": "shop"}, "require": {"provider": "corp"}},
            {"name": "default", "require": {"provider": "corp"}},
        ],
    })
}

fn jwt_auth(world: &mut dyn World) -> Vec<String> {
    world.serve(Cluster::Idp, Upstream::Answers(keys()));
    let with = |token: String| Request::get("/").header("authorization", format!("Bearer {token}"));
    // Without ticks, requests wait in vain at first.
    world.pass(ONCE_TICKS_ARE_OVERDUE);
    let good = world.try_send(with(good_token()));
    let user = world.received().pop().map(|request| request.all("x-user"));
    let good = match (status(good.as_ref()), user) {
        (status, Some(user)) if status == "200" && user != ["ada"] => {
            format!("{status}, **as {user:?}**")
        }
        (status, _) => status,
    };
    let expired = world.try_send(with(expired_token()));
    world.received();
    let public = world.try_send(Request::get("/public/").header("x-user", "root"));
    let user = world.received().pop().map(|request| request.all("x-user"));
    let public = match (status(public.as_ref()), user) {
        (status, Some(user)) if !user.is_empty() => format!("{status}, **as {user:?}**"),
        (status, _) => status,
    };
    vec![good, status(expired.as_ref()), public]
}

fn rate_limit_config() -> Value {
    let limit = |name: &str, mode: &str, key: &str| {
        json!({
            "name": name, "mode": mode, "key": [key],
            "rate": {"requests": 2, "per": "1h"}, "burst": 2,
        })
    };
    json!({
        "name": "edge",
        "on_error": "deny",
        "limits": [limit("all", "enforce", "remote_address"), limit("watched", "shadow", "method")],
        "response_headers": ["ratelimit"],
    })
}

fn rate_limit(world: &mut dyn World) -> Vec<String> {
    let mut statuses = (0..6).map(|_| status(world.try_send(Request::get("/")).as_ref()));
    let first = statuses.next().unwrap_or_default();
    let last = statuses.last().unwrap_or_default();
    vec![first, last]
}

fn circuit_breaker_config() -> Value {
    json!({
        "name": "edge",
        "on_error": "deny",
        "breakers": [
            {"name": "all", "key": ["cluster"], "consecutive_failures": 2,
             "open": {"base": "1m", "max": "1m"}},
            {"name": "watched", "mode": "shadow", "key": ["cluster"], "consecutive_failures": 2},
        ],
    })
}

const FAILURES: usize = 16;

fn circuit_breaker(world: &mut dyn World) -> Vec<String> {
    let first = status(world.try_send(Request::get("/")).as_ref());
    world.upstream(Upstream::Answers(Response::new(500)));
    let mut last = String::new();
    // Each worker has to have a chance to see how a stream ends.
    for _ in 0..FAILURES {
        last = status(world.try_send(Request::get("/")).as_ref());
        if last == "held" {
            break;
        }
    }
    vec![first, last]
}

fn retry_budget_config() -> Value {
    json!({
        "name": "edge",
        "on_error": "deny",
        "budgets": [{
            "name": "all", "key": ["cluster"], "ratio": 20, "window": "1h",
            "min_retries_per_second": 0, "max_retries": 2, "retry_on": "5xx",
        }],
    })
}

fn retry_budget(world: &mut dyn World) -> Vec<String> {
    let get = || Request::get(RETRIED_PREFIX);
    let first = status(world.try_send(get()).as_ref());
    world.upstream(Upstream::Answers(Response::new(500)));
    // What was paid in is soon used up.
    for _ in 0..5 {
        world.try_send(get());
    }
    world.received();
    let last = status(world.try_send(get()).as_ref());
    let attempts = match world.received().len() {
        0 => "not sent".to_owned(),
        1 => "no retry".to_owned(),
        attempts => format!("**{} retries**", attempts - 1),
    };
    vec![first, format!("{last}, {attempts}")]
}
