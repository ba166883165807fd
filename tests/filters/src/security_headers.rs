//! What a user of security-headers would notice.

use serde_json::{Value, json};

use crate::{Filter, NO_ROUTE_PREFIX, Request, Response, SHOP_PREFIX, Scenario, Upstream, World};

/// The scenarios of security-headers.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let mut add = |name, config: Value, story| {
        scenarios.push(Scenario {
            name,
            filters: vec![plugin(&config)],
            story,
        });
    };
    add(
        "security_headers::helmet_is_the_default",
        json!({}),
        helmet_is_the_default,
    );
    add(
        "security_headers::hsts_goes_over_tls_only",
        json!({"rules": [{"name": "behind-a-load-balancer",
            "match": {"path": {"prefix": "/lb/"}}, "hsts": {"assume_tls": true}}]}),
        hsts_goes_over_tls_only,
    );
    add(
        "security_headers::the_upstream_wins_unless_overridden",
        json!({"name": "edge", "rules": [{"name": "ours",
            "match": {"path": {"prefix": "/ours/"}}, "override_upstream": true}]}),
        the_upstream_wins_unless_overridden,
    );
    add(
        "security_headers::a_rule_cannot_be_dodged_by_spelling",
        json!({"rules": [{"name": "api", "match": {"path": {"prefix": "/api/"}}, "preset": "api"}]}),
        a_rule_cannot_be_dodged_by_spelling,
    );
    add(
        "security_headers::rules_see_route_host_method_and_headers",
        json!({"preset": "none", "rules": [
            {"name": "route", "match": {"route": "shop"}, "headers": [{"name": "x-rule", "value": "route", "action": "set"}]},
            {"name": "host", "match": {"hosts": ["*.example.org"]}, "headers": [{"name": "x-rule", "value": "host", "action": "set"}]},
            {"name": "method", "match": {"methods": ["DELETE"]}, "headers": [{"name": "x-rule", "value": "method", "action": "set"}]},
            {"name": "header", "match": {"headers": [{"name": "x-beta", "present": true}]}, "headers": [{"name": "x-rule", "value": "header", "action": "set"}]},
            {"name": "regex", "match": {"path": {"regex": "/v[0-9]+/.*"}}, "headers": [{"name": "x-rule", "value": "regex", "action": "set"}]}
        ]}),
        rules_see_route_host_method_and_headers,
    );
    add(
        "security_headers::replies_of_envoy_have_them_too",
        json!({"name": "edge"}),
        replies_of_envoy_have_them_too,
    );
    add(
        "security_headers::a_cross_site_post_is_refused",
        json!({"name": "edge", "cross_site": {"mode": "enforce", "trusted_origins": ["https://app.example"]}}),
        a_cross_site_post_is_refused,
    );
    add(
        "security_headers::cross_site_in_shadow_only_counts",
        json!({"name": "edge", "cross_site": {"mode": "shadow"}}),
        cross_site_in_shadow_only_counts,
    );
    add(
        "security_headers::every_response_has_a_nonce_of_its_own",
        json!({"csp": {"directives": {"script-src": ["'self'", "'nonce'"]}}}),
        every_response_has_a_nonce_of_its_own,
    );
    add(
        "security_headers::cookies_get_their_attributes",
        json!({"name": "edge", "cookies": {"secure": true, "http_only": true, "same_site": "Lax", "except": ["csrftoken"]}}),
        cookies_get_their_attributes,
    );
    add(
        "security_headers::header_actions",
        json!({"preset": "none", "headers": [
            {"name": "x-frame-options", "value": "DENY", "action": "set"},
            {"name": "x-app", "value": "shop", "action": "set_if_absent"},
            {"name": "vary", "value": "origin", "action": "append"},
            {"name": "x-powered-by", "action": "remove"}]}),
        header_actions,
    );
    add(
        "security_headers::bytes_that_are_not_text_pass_unharmed",
        json!({"rules": [{"name": "beta", "match": {"headers": [{"name": "x-bytes", "prefix": "v"}]}}],
            "cross_site": {"mode": "enforce"}, "cookies": {"secure": true}}),
        bytes_that_are_not_text_pass_unharmed,
    );
    add(
        "security_headers::shadow_changes_nothing",
        json!({"name": "edge", "mode": "shadow", "cross_site": {"mode": "enforce"},
            "csp": {"directives": {"script-src": ["'nonce'"]}}}),
        shadow_changes_nothing,
    );
    add(
        "security_headers::off_does_nothing",
        json!({"name": "edge", "rules": [{"name": "assets",
            "match": {"path": {"prefix": "/assets/"}}, "mode": "off"}]}),
        off_does_nothing,
    );
    scenarios.push(Scenario {
        name: "security_headers::refusals_of_filters_behind_have_them_too",
        filters: vec![plugin(&json!({})), Filter::DenyAll],
        story: refusals_of_filters_behind_have_them_too,
    });
    scenarios
}

fn plugin(config: &Value) -> Filter {
    Filter::Plugin {
        module: "security_headers",
        config: config.to_string(),
    }
}

fn counter(labels: &[(&str, &str)], metric: &str) -> String {
    crate::counter("security_headers", "edge", labels, metric)
}

/// helmet 8.3's headers, but for HSTS, which does not belong on a plain connection.
const HELMET: [(&str, &str); 11] = [
    (
        "content-security-policy",
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';\
         frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';\
         script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("x-download-options", "noopen"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-xss-protection", "0"),
];

fn assert_helmet(response: &Response) {
    for (name, value) in HELMET {
        assert_eq!(response.get_header(name).as_deref(), Some(value), "{name}");
    }
}

fn helmet_is_the_default(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("content-type", "text/html")
            .header("x-powered-by", "PHP/8.3"),
    ));
    let response = world.send(Request::get("/"));

    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"hello\n");
    assert_helmet(&response);
    assert_eq!(response.get_header("x-powered-by"), None);
    assert_eq!(
        response.get_header("content-type").as_deref(),
        Some("text/html")
    );
}

fn hsts_goes_over_tls_only(world: &mut dyn World) {
    let mut hsts = |request| world.send(request).get_header("strict-transport-security");
    let value = Some("max-age=31536000; includeSubDomains".to_owned());

    assert_eq!(hsts(Request::get("/")), None);
    assert_eq!(hsts(Request::get("/").tls()), value);
    // A client's word for it is not enough.
    assert_eq!(
        hsts(Request::get("/").header("x-forwarded-proto", "https")),
        None
    );
    assert_eq!(hsts(Request::get("/lb/")), value);
}

fn the_upstream_wins_unless_overridden(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("content-security-policy", "default-src https:")
            .header("content-security-policy", "object-src 'none'")
            .header("x-frame-options", "DENY"),
    ));

    let theirs = world.send(Request::get("/"));
    assert_eq!(
        theirs.all("content-security-policy"),
        ["default-src https:", "object-src 'none'"]
    );
    assert_eq!(
        theirs.get_header("x-frame-options").as_deref(),
        Some("DENY")
    );
    assert_eq!(
        theirs.get_header("x-content-type-options").as_deref(),
        Some("nosniff")
    );

    assert_helmet(&world.send(Request::get("/ours/")));

    let mut count = |rule, metric| world.counter(&counter(&[("rule", rule)], metric));
    assert_eq!(count("none", "responses"), 1);
    assert_eq!(count("none", "upstream_kept"), 2);
    assert_eq!(count("ours", "responses"), 1);
    assert_eq!(count("ours", "upstream_kept"), 0);
}

fn a_rule_cannot_be_dodged_by_spelling(world: &mut dyn World) {
    for path in [
        "/api/orders",
        "/api/orders?x=1",
        "/%61pi/orders",
        "//api/orders",
        "/static/../api/orders",
        "/static/%2e%2e/api/orders",
        "/static/..;/api/orders",
        "/api;v=1/orders",
        "/api%2forders",
        "/api\\orders",
        "/./api/./orders",
    ] {
        let response = world.send(Request::get(path));
        assert_eq!(
            response.get_header("cache-control").as_deref(),
            Some("no-store"),
            "{path}"
        );
    }
    for path in [
        "/",
        "/apis/orders",
        "/?/api/",
        "/api/../orders",
        "/%2561pi/orders",
    ] {
        let response = world.send(Request::get(path));
        assert_eq!(response.get_header("cache-control"), None, "{path}");
    }
}

fn rules_see_route_host_method_and_headers(world: &mut dyn World) {
    let mut rule = |request| world.send(request).get_header("x-rule");
    let some = |name: &str| Some(name.to_owned());

    assert_eq!(rule(Request::get("/")), None);
    assert_eq!(
        rule(Request::get(&format!("{SHOP_PREFIX}cart"))),
        some("route")
    );
    assert_eq!(
        rule(Request::get("/").host("A.Example.org:8443")),
        some("host")
    );
    assert_eq!(rule(Request::get("/").host("example.org")), None);
    assert_eq!(rule(Request::new("DELETE", "/")), some("method"));
    assert_eq!(rule(Request::get("/").header("x-beta", "")), some("header"));
    assert_eq!(rule(Request::get("/v12/a?b")), some("regex"));
    assert_eq!(rule(Request::get("/x/v12/a")), None);
}

fn replies_of_envoy_have_them_too(world: &mut dyn World) {
    let no_route = world.send(Request::get(&format!("{NO_ROUTE_PREFIX}x")));
    assert_eq!(no_route.status, 404);
    assert_helmet(&no_route);

    world.upstream(Upstream::Unreachable);
    let unreachable = world.send(Request::get("/"));
    assert_eq!(unreachable.status, 503);
    assert_helmet(&unreachable);
    assert_eq!(world.counter(&counter(&[("rule", "none")], "responses")), 2);
}

fn refusals_of_filters_behind_have_them_too(world: &mut dyn World) {
    let refused = world.send(Request::get("/"));
    assert_eq!(refused.status, 403);
    assert_helmet(&refused);
    assert!(world.received().is_empty());
}

fn a_cross_site_post_is_refused(world: &mut dyn World) {
    let refused = world.send(Request::post("/pay").header("sec-fetch-site", "cross-site"));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body, b"Cross-site request refused\n");
    assert_helmet(&refused);
    let forged = Request::post("/pay").header("origin", "https://evil.example");
    assert_eq!(world.send(forged).status, 403);
    let opaque = Request::post("/pay").header("origin", "null");
    assert_eq!(world.send(opaque).status, 403);
    assert!(
        world.received().is_empty(),
        "a refused request reached the upstream"
    );

    for allowed in [
        Request::get("/").header("sec-fetch-site", "cross-site"),
        Request::post("/pay").header("sec-fetch-site", "same-origin"),
        Request::post("/pay").header("sec-fetch-site", "none"),
        Request::post("/pay").header("origin", "https://shop.example"),
        Request::post("/pay")
            .header("sec-fetch-site", "cross-site")
            .header("origin", "https://app.example"),
        // Not a browser.
        Request::post("/pay"),
    ] {
        assert_eq!(world.send(allowed.clone()).status, 200, "{allowed:?}");
    }

    let mut count = |reason| {
        world.counter(&counter(
            &[("rule", "none"), ("reason", reason)],
            "cross_site_refused",
        ))
    };
    assert_eq!(count("sec_fetch_site"), 1);
    assert_eq!(count("origin"), 2);
}

fn cross_site_in_shadow_only_counts(world: &mut dyn World) {
    let response = world.send(Request::post("/pay").header("sec-fetch-site", "cross-site"));
    assert_eq!(response.status, 200);
    assert_eq!(world.received().len(), 1);
    let mut count = |metric| {
        world.counter(&counter(
            &[("rule", "none"), ("reason", "sec_fetch_site")],
            metric,
        ))
    };
    assert_eq!(count("cross_site_shadow_refused"), 1);
    assert_eq!(count("cross_site_refused"), 0);
}

fn every_response_has_a_nonce_of_its_own(world: &mut dyn World) {
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let response = world.send(Request::get("/").header("x-csp-nonce", "the-clients-own"));
        let received = world.received().pop().expect("the request came through");
        let nonce = received.get_header("x-csp-nonce").expect("a nonce");
        // 128 bits in base64url.
        assert_eq!(nonce.len(), 22, "{nonce}");
        assert_eq!(
            response.get_header("content-security-policy"),
            Some(format!("script-src 'self' 'nonce-{nonce}'"))
        );
        nonces.push(nonce);
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 3);

    // The page that a 304 revives carries the nonce of its own policy.
    world.upstream(Upstream::Answers(Response::new(304).without_body()));
    let revived = world.send(Request::get("/"));
    assert_eq!(revived.status, 304);
    assert_eq!(revived.get_header("content-security-policy"), None);
}

fn cookies_get_their_attributes(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("set-cookie", "session=abc; Path=/; httponly")
            .header("x-between", "1")
            .header("set-cookie", "csrftoken=xyz")
            .header("set-cookie", "embed=1; SameSite=None"),
    ));
    let response = world.send(Request::get("/"));
    assert_eq!(
        response.all("set-cookie"),
        [
            "session=abc; Path=/; httponly; Secure; SameSite=Lax",
            "csrftoken=xyz",
            "embed=1; SameSite=None; Secure; HttpOnly",
        ]
    );
    assert_helmet(&response);
    assert_eq!(
        world.counter(&counter(&[("rule", "none")], "cookies_rewritten")),
        2
    );
}

fn header_actions(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("x-frame-options", "ALLOWALL")
            .header("x-app", "cart")
            .header("vary", "accept")
            .header("x-powered-by", "PHP"),
    ));
    let changed = world.send(Request::get("/"));
    assert_eq!(
        changed.get_header("x-frame-options").as_deref(),
        Some("DENY")
    );
    assert_eq!(changed.get_header("x-app").as_deref(), Some("cart"));
    // As one line or as two: both mean the same, and Envoy joins some headers.
    let vary = changed.all("vary").join(",");
    let vary: Vec<&str> = vary.split(',').map(str::trim).collect();
    assert_eq!(vary, ["accept", "origin"]);
    assert_eq!(changed.get_header("x-powered-by"), None);

    world.upstream(Upstream::Answers(Response::new(200)));
    let added = world.send(Request::get("/"));
    assert_eq!(added.get_header("x-app").as_deref(), Some("shop"));
    assert_eq!(added.get_header("vary").as_deref(), Some("origin"));
}

fn bytes_that_are_not_text_pass_unharmed(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("x-bytes", b"\xff\xfe response")
            .header("set-cookie", b"a=\xff"),
    ));
    // The second request shows that the first did not kill the VM.
    for _ in 0..2 {
        let response = world.send(
            Request::post("/")
                .header("x-bytes", b"\xff\xfe request")
                .header("sec-fetch-site", "same-origin")
                .header("cookie", b"\xc3\x28"),
        );
        assert_eq!(response.status, 200);
        assert_helmet(&response);
        let received = world.received().pop().expect("the request came through");
        let sent: &[u8] = b"\xff\xfe request";
        assert!(received.headers.contains(&("x-bytes".into(), sent.into())));
        let answered: &[u8] = b"\xff\xfe response";
        assert!(
            response
                .headers
                .contains(&("x-bytes".into(), answered.into()))
        );
        let cookie: &[u8] = b"a=\xff; Secure";
        assert!(
            response
                .headers
                .contains(&("set-cookie".into(), cookie.into()))
        );
    }
    let garbage = Request::post("/").header("sec-fetch-site", b"\xff");
    assert_eq!(world.send(garbage).status, 403);
}

fn shadow_changes_nothing(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200).header("x-powered-by", "PHP"),
    ));
    let response = world.send(
        Request::post("/")
            .header("sec-fetch-site", "cross-site")
            .header("x-csp-nonce", "mine"),
    );
    assert_eq!(response.status, 200);
    for (name, _) in HELMET {
        assert_eq!(response.get_header(name), None, "{name}");
    }
    assert_eq!(response.get_header("x-powered-by").as_deref(), Some("PHP"));
    let received = world.received().pop().expect("the request came through");
    assert_eq!(received.get_header("x-csp-nonce").as_deref(), Some("mine"));

    assert_eq!(world.counter(&counter(&[("rule", "none")], "responses")), 1);
    let labels = [("rule", "none"), ("reason", "sec_fetch_site")];
    assert_eq!(
        world.counter(&counter(&labels, "cross_site_shadow_refused")),
        1
    );
}

fn off_does_nothing(world: &mut dyn World) {
    let asset = world.send(Request::get("/assets/logo.svg"));
    assert_eq!(asset.status, 200);
    for (name, _) in HELMET {
        assert_eq!(asset.get_header(name), None, "{name}");
    }
    assert_eq!(
        world.counter(&counter(&[("rule", "assets")], "responses")),
        0
    );
    assert_helmet(&world.send(Request::get("/")));
}
