//! Selection of rules, and refusal of requests.

use super::{HELMET, assert_helmet, assert_helmet_with_checks, counter};
use crate::{Request, Response, SHOP_PREFIX, Upstream, World};

pub(super) fn a_rule_cannot_be_dodged_by_spelling(world: &mut dyn World) {
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
        // Only some servers read these as the path of the rule.
        "/api/../orders",
        "/%2561pi/orders",
        "/API/orders",
        "/api",
    ] {
        let response = world.send(Request::get(path));
        assert_eq!(
            response.get_header("cache-control").as_deref(),
            Some("no-store"),
            "{path}"
        );
    }
    for path in ["/", "/apis/orders", "/?/api/", "/orders/api/"] {
        let response = world.send(Request::get(path));
        assert_eq!(response.get_header("cache-control"), None, "{path}");
    }
}

pub(super) fn rules_see_route_host_method_and_headers(world: &mut dyn World) {
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

pub(super) fn rules_see_the_address(world: &mut dyn World) {
    let mut rule = |address: [u8; 4]| {
        let response = world.send(Request::get("/").from(address));
        response.get_header("x-rule")
    };
    assert_eq!(rule([10, 1, 2, 3]), None);
    assert_eq!(rule([11, 1, 2, 3]).as_deref(), Some("outside"));
}

pub(super) fn a_cross_site_post_is_refused(world: &mut dyn World) {
    let refused = world.send(Request::post("/pay").header("sec-fetch-site", "cross-site"));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body, b"Cross-site request refused\n");
    assert_helmet_with_checks(&refused);
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
        // The client is not a browser.
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

pub(super) fn cross_site_in_shadow_only_counts(world: &mut dyn World) {
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

pub(super) fn bytes_that_are_not_text_pass_unharmed(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        Response::new(200)
            .header("x-bytes", b"\xff\xfe response")
            .header("set-cookie", b"a=\xff"),
    ));
    // The second request shows that the first did not crash the VM.
    for _ in 0..2 {
        let response = world.send(
            Request::post("/")
                .header("x-bytes", b"\xff\xfe request")
                .header("sec-fetch-site", "same-origin")
                .header("cookie", b"\xc3\x28"),
        );
        assert_eq!(response.status, 200);
        assert_helmet_with_checks(&response);
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

pub(super) fn shadow_changes_nothing(world: &mut dyn World) {
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

pub(super) fn off_does_nothing(world: &mut dyn World) {
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
