//! Requests that servers may read in several ways: a rule that grants needs every reading.

use serde_json::{Value, json};

use super::{counter, plugin};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, config: Value, story| Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    };
    let hooks = |cross_site: Value| {
        json!({"name": "edge", "cross_site": {}, "rules": [
            {"name": "hooks", "match": {"path": {"prefix": "/hooks/"}}, "cross_site": cross_site}]})
    };
    vec![
        scenario(
            "security_headers::an_exemption_needs_every_reading",
            hooks(json!({"mode": "off"})),
            an_exemption_needs_every_reading,
        ),
        scenario(
            "security_headers::a_trial_needs_every_reading",
            hooks(json!({"mode": "shadow"})),
            an_exemption_needs_every_reading,
        ),
        scenario(
            "security_headers::trusted_origins_of_a_rule_need_every_reading",
            hooks(json!({"trusted_origins": ["https://evil.example"]})),
            an_exemption_needs_every_reading,
        ),
        scenario(
            "security_headers::a_rule_in_shadow_needs_every_reading",
            json!({"name": "edge", "cross_site": {}, "rules": [
                {"name": "hooks", "match": {"path": {"prefix": "/hooks/"}}, "mode": "shadow"}]}),
            an_exemption_needs_every_reading,
        ),
        scenario(
            "security_headers::a_check_needs_one_reading",
            json!({"name": "edge", "rules": [
                {"name": "admin", "match": {"path": {"prefix": "/admin/"}}, "cross_site": {}}]}),
            a_check_needs_one_reading,
        ),
        scenario(
            "security_headers::a_rule_that_weakens_needs_every_reading",
            json!({"name": "edge", "preset": "strict", "cookies": {"secure": true, "same_site": "Strict"},
            "rules": [{"name": "embedded", "match": {"path": {"prefix": "/embed/"}},
                "preset": "none", "cookies": {"same_site": "None"}, "headers": [
                    {"name": "referrer-policy", "value": "unsafe-url", "action": "set"},
                    {"name": "access-control-allow-origin", "value": "*", "action": "set"},
                    {"name": "x-embed", "value": "1", "action": "set"}]}]}),
            a_rule_that_weakens_needs_every_reading,
        ),
        scenario(
            "security_headers::a_rule_that_is_off_needs_every_reading",
            json!({"name": "edge", "rules": [
                {"name": "assets", "match": {"path": {"prefix": "/assets/"}}, "mode": "off"}]}),
            a_rule_that_is_off_needs_every_reading,
        ),
        scenario(
            "security_headers::a_nonce_of_a_client_reaches_nobody",
            json!({"name": "edge", "rules": [
                {"name": "pages", "match": {"path": {"prefix": "/pages/"}},
                    "csp": {"directives": {"script-src": ["'nonce'"]}}},
                {"name": "off", "match": {"path": {"prefix": "/off/"}}, "mode": "off"}]}),
            a_nonce_of_a_client_reaches_nobody,
        ),
    ]
}

/// Paths that some server reads as below this folder and Envoy does not, or the reverse.
fn ambiguous(folder: &str) -> Vec<String> {
    let capital = folder.to_uppercase();
    vec![
        format!("/account/..;/{folder}/x"),
        format!("/account/..%2f{folder}/x"),
        format!("/account/%2e%2e%2f{folder}/x"),
        format!("/account/..%5c{folder}/x"),
        format!("/{folder}/..%2faccount"),
        format!("/{folder}/..;/account"),
        format!("/{folder}/%252e%252e/account"),
        format!("/{capital}/x"),
        format!("/{folder}"),
        format!("/{folder};v=1/x"),
        format!("/{folder}%2fx"),
        format!("/x%2f../{folder}/x"),
    ]
}

fn foreign(path: &str) -> Request {
    Request::post(path).header("origin", "https://evil.example")
}

fn an_exemption_needs_every_reading(world: &mut dyn World) {
    assert_eq!(world.send(foreign("/hooks/x")).status, 200);
    assert_eq!(world.send(foreign("/hooks/x/y?z=../")).status, 200);
    assert_eq!(world.send(foreign("/account")).status, 403);
    let ambiguous = ambiguous("hooks");
    for path in &ambiguous {
        assert_eq!(world.send(foreign(path)).status, 403, "{path}");
    }
    assert_eq!(world.received().len(), 2);
    let refused = counter(
        &[("rule", "none"), ("reason", "origin")],
        "cross_site_refused",
    );
    assert_eq!(world.counter(&refused), 1 + ambiguous.len() as u64);
}

fn a_check_needs_one_reading(world: &mut dyn World) {
    assert_eq!(world.send(foreign("/account")).status, 200);
    assert_eq!(world.send(foreign("/admin/x")).status, 403);
    let ambiguous = ambiguous("admin");
    for path in &ambiguous {
        assert_eq!(world.send(foreign(path)).status, 403, "{path}");
    }
    // The refusal is counted under the rule that refused.
    let refused = counter(
        &[("rule", "admin"), ("reason", "origin")],
        "cross_site_refused",
    );
    assert_eq!(world.counter(&refused), 1 + ambiguous.len() as u64);
    // A request of the page's own site passes in any spelling.
    for path in &ambiguous {
        let own = Request::post(path).header("sec-fetch-site", "same-origin");
        assert_eq!(world.send(own).status, 200, "{path}");
    }
}

fn a_rule_that_weakens_needs_every_reading(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200).header("set-cookie", "session=abc"),
    ));
    let embedded = world.send(Request::get("/embed/x"));
    let header = |response: &Response, name: &str| response.get_header(name).unwrap_or_default();
    assert_eq!(header(&embedded, "x-frame-options"), "");
    assert_eq!(header(&embedded, "referrer-policy"), "unsafe-url");
    assert_eq!(header(&embedded, "access-control-allow-origin"), "*");
    assert_eq!(
        header(&embedded, "set-cookie"),
        "session=abc; Secure; SameSite=None"
    );

    for path in ambiguous("embed") {
        let response = world.send(Request::get(&path));
        let header = |name| header(&response, name);
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            header("cross-origin-embedder-policy"),
            "require-corp",
            "{path}"
        );
        assert!(
            header("content-security-policy").contains("default-src 'none'"),
            "{path}"
        );
        assert_eq!(header("access-control-allow-origin"), "", "{path}");
        let cookie = header("set-cookie");
        assert!(cookie.contains("; Secure"), "{path} {cookie}");
        assert!(cookie.ends_with("; SameSite=Strict"), "{path} {cookie}");
        // The possible rule adds a header that weakens nothing.
        assert_eq!(header("x-embed"), "1", "{path}");
    }
}

fn a_rule_that_is_off_needs_every_reading(world: &mut dyn World) {
    let asset = world.send(Request::get("/assets/x"));
    assert_eq!(asset.get_header("x-content-type-options"), None);
    for path in ambiguous("assets") {
        super::assert_helmet(&world.send(Request::get(&path)));
    }
}

fn a_nonce_of_a_client_reaches_nobody(world: &mut dyn World) {
    for path in [
        "/",
        "/pages/x",
        "/PAGES/x",
        "/x/..;/pages/x",
        "/off/x",
        "/pages/..;/off/x",
    ] {
        let mut request = Request::get(path);
        for name in [
            "x-csp-nonce",
            "x_csp_nonce",
            "x-csp_nonce",
            "x.csp-nonce",
            "x_csp~nonce",
        ] {
            request = request.header(name, "forged");
        }
        let response = world.send(request);
        assert_eq!(response.status, 200, "{path}");
        let received = world.received().pop().expect("the request came through");
        let values: Vec<_> = received
            .headers
            .iter()
            .filter(|(_, value)| value == b"forged")
            .collect();
        assert!(values.is_empty(), "{path}: {values:?}");

        // A rule with a nonce restricts, so one reading is enough.
        let is_page = path.to_lowercase().contains("pages");
        let nonce = received.get_header("x-csp-nonce");
        assert_eq!(nonce.is_some(), is_page, "{path}");
        if let Some(nonce) = nonce {
            let policies = response.all("content-security-policy").join(",");
            let source = format!("script-src 'nonce-{nonce}'");
            assert!(policies.contains(&source), "{path}: {policies}");
        }
    }
}
