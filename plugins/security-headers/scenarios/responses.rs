//! Headers of responses.

use super::{assert_helmet, counter};
use crate::{NO_ROUTE_PREFIX, Request, Response, Upstream, World};

pub(super) fn helmet_is_the_default(world: &mut dyn World) {
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

pub(super) fn hsts_goes_over_tls_only(world: &mut dyn World) {
    let mut hsts = |request| world.send(request).get_header("strict-transport-security");
    let value = Some("max-age=31536000; includeSubDomains".to_owned());

    assert_eq!(hsts(Request::get("/")), None);
    assert_eq!(hsts(Request::get("/").tls()), value);
    // A client's claim of TLS is not enough.
    assert_eq!(
        hsts(Request::get("/").header("x-forwarded-proto", "https")),
        None
    );
    assert_eq!(hsts(Request::get("/lb/")), value);
}

pub(super) fn the_upstream_wins_unless_overridden(world: &mut dyn World) {
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

pub(super) fn replies_of_envoy_have_them_too(world: &mut dyn World) {
    let no_route = world.send(Request::get(&format!("{NO_ROUTE_PREFIX}x")));
    assert_eq!(no_route.status, 404);
    assert_helmet(&no_route);

    world.upstream(Upstream::Unreachable);
    let unreachable = world.send(Request::get("/"));
    assert_eq!(unreachable.status, 503);
    assert_helmet(&unreachable);
    assert_eq!(world.counter(&counter(&[("rule", "none")], "responses")), 2);
}

pub(super) fn refusals_of_filters_behind_have_them_too(world: &mut dyn World) {
    let refused = world.send(Request::get("/"));
    assert_eq!(refused.status, 403);
    assert_helmet(&refused);
    assert!(world.received().is_empty());
}

pub(super) fn every_response_has_a_nonce_of_its_own(world: &mut dyn World) {
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
    for spelling in ["x_csp_nonce", "X_CSP-Nonce", "x.csp.nonce"] {
        world.send(Request::get("/").header(spelling, "the-clients-own"));
        for received in world.received() {
            assert_eq!(received.get_header(spelling), None, "{spelling}");
        }
    }

    // A page that a 304 revalidates has the nonce of its stored policy.
    world.upstream(Upstream::Answers(Response::new(304).without_body()));
    let revived = world.send(Request::get("/"));
    assert_eq!(revived.status, 304);
    assert_eq!(revived.get_header("content-security-policy"), None);
}

pub(super) fn cookies_get_their_attributes(world: &mut dyn World) {
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

pub(super) fn header_actions(world: &mut dyn World) {
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
    // One line or two mean the same, and Envoy joins some headers.
    let vary = changed.all("vary").join(",");
    let vary: Vec<&str> = vary.split(',').map(str::trim).collect();
    assert_eq!(vary, ["accept", "origin"]);
    assert_eq!(changed.get_header("x-powered-by"), None);

    world.upstream(Upstream::Answers(Response::new(200)));
    let added = world.send(Request::get("/"));
    assert_eq!(added.get_header("x-app").as_deref(), Some("shop"));
    assert_eq!(added.get_header("vary").as_deref(), Some("origin"));
}
