//! The behaviour of this plugin when Envoy withholds one of its capabilities.

use serde_json::{Value, json};

use crate::capabilities::{Subject, status};
use crate::{Request, Response, SHOP_PREFIX, Upstream, World};

pub(super) fn subject() -> Subject {
    Subject {
        name: "security-headers",
        config,
        columns: &["response over TLS", "cross-site POST", "made-up nonce"],
        observe,
        errors: &["portcullis.security_headers.policy=.=edge;.;errors"],
    }
}

fn config() -> Value {
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

fn observe(world: &mut dyn World) -> Vec<String> {
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
