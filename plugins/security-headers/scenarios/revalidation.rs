//! Responses that update one that the browser has stored.

use serde_json::{Value, json};

use super::plugin;
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, config: Value, story| Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    };
    let preset = |name| json!({"rules": [{"name": "all", "preset": name}]});
    vec![
        scenario(
            "security_headers::a_304_gets_no_header_of_helmet",
            preset("helmet"),
            a_304_gets_no_header,
        ),
        scenario(
            "security_headers::a_304_gets_no_header_of_owasp",
            preset("owasp"),
            a_304_gets_no_header,
        ),
        scenario(
            "security_headers::a_304_gets_no_header_of_strict",
            preset("strict"),
            a_304_gets_no_header,
        ),
        scenario(
            "security_headers::a_304_gets_no_header_of_api",
            preset("api"),
            a_304_gets_no_header,
        ),
        scenario(
            "security_headers::a_304_gets_nothing_that_depends_on_the_stored_response",
            json!({"preset": "none", "headers": [
                {"name": "x-frame-options", "value": "DENY", "action": "set_if_absent"},
                {"name": "vary", "value": "origin", "action": "append"},
                {"name": "x-powered-by", "action": "remove"}]}),
            a_304_gets_nothing_that_depends_on_the_stored_response,
        ),
        scenario(
            "security_headers::a_304_brings_in_nothing_that_is_overridden",
            json!({"override_upstream": true}),
            a_304_brings_in_nothing_that_is_overridden,
        ),
    ]
}

fn not_modified() -> Response {
    Response::new(304).header("etag", "\"1\"").without_body()
}

fn security_headers(response: &Response) -> Vec<&str> {
    let expected = ["etag", "date", "server", "content-length", "connection"];
    let names = response.headers.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| {
            !expected.contains(name) && !name.starts_with("x-envoy-") && !name.starts_with(':')
        })
        .collect()
}

fn a_304_gets_no_header(world: &mut dyn World) {
    world.upstream(Upstream::Answers(not_modified()));
    for request in [
        Request::get("/"),
        Request::get("/").tls(),
        Request::new("HEAD", "/"),
    ] {
        let response = world.send(request);
        assert_eq!(response.status, 304);
        assert_eq!(security_headers(&response), [""; 0]);
    }
    // A header that the upstream repeats passes unchanged.
    let repeated = not_modified()
        .header("cache-control", "private, max-age=60")
        .header("content-security-policy", "default-src https:");
    world.upstream(Upstream::Answers(repeated));
    let response = world.send(Request::get("/"));
    assert_eq!(
        response.get_header("cache-control").as_deref(),
        Some("private, max-age=60")
    );
    assert_eq!(
        response.all("content-security-policy"),
        ["default-src https:"]
    );
    // The next page gets all of them.
    world.upstream(Upstream::Answers(Response::new(200)));
    let page = world.send(Request::get("/"));
    assert!(page.get_header("content-security-policy").is_some());
}

fn a_304_gets_nothing_that_depends_on_the_stored_response(world: &mut dyn World) {
    world.upstream(Upstream::Answers(
        not_modified().header("x-powered-by", "PHP"),
    ));
    let response = world.send(Request::get("/"));
    assert_eq!(security_headers(&response), [""; 0]);

    world.upstream(Upstream::Answers(not_modified().header("vary", "accept")));
    let vary = world.send(Request::get("/")).all("vary").join(",");
    assert_eq!(vary.replace(' ', ""), "accept,origin");
}

fn a_304_brings_in_nothing_that_is_overridden(world: &mut dyn World) {
    let repeated = not_modified()
        .header("x-frame-options", "ALLOWALL")
        .header("content-security-policy", "default-src *");
    world.upstream(Upstream::Answers(repeated));
    let response = world.send(Request::get("/"));
    let header = |name| response.get_header(name).unwrap_or_default();
    assert_eq!(header("x-frame-options"), "SAMEORIGIN");
    assert!(header("content-security-policy").starts_with("default-src 'self';"));
    assert_eq!(header("x-content-type-options"), "");
}
