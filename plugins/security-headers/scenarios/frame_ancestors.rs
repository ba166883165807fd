//! The upstream forbids framing in one of the two headers, and the plugin sends the other.

use serde_json::{Value, json};

use super::plugin;
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, config: Value, story| Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    };
    vec![
        scenario(
            "security_headers::x_frame_options_of_the_upstream_keep_their_force",
            json!({"rules": [
                {"name": "partner", "match": {"path": {"prefix": "/partner/"}},
                    "csp": {"directives": {"frame-ancestors": ["'self'", "https://partner.example"]}}},
                {"name": "nonced", "match": {"path": {"prefix": "/nonced/"}},
                    "csp": {"directives": {"script-src": ["'nonce'"], "frame-ancestors": ["'self'"]}}},
                {"name": "set", "match": {"path": {"prefix": "/set/"}}, "headers": [
                    {"name": "content-security-policy", "value": "frame-ancestors *", "action": "set"}]}]}),
            x_frame_options_of_the_upstream_keep_their_force,
        ),
        scenario(
            "security_headers::frame_ancestors_of_the_upstream_keep_their_force",
            json!({}),
            frame_ancestors_of_the_upstream_keep_their_force,
        ),
        scenario(
            "security_headers::overriding_overrides_framing_too",
            json!({"override_upstream": true}),
            overriding_overrides_framing_too,
        ),
    ]
}

/// The lists of `frame-ancestors`, one for each policy that has one. Browsers enforce all of them.
fn ancestors(response: &Response) -> Vec<String> {
    let lines = response.all("content-security-policy");
    let policies = lines.iter().flat_map(|line| line.split(','));
    policies
        .filter_map(|policy| {
            let mut directives = policy.split(';').map(str::trim);
            let list =
                directives.find_map(|directive| directive.strip_prefix("frame-ancestors "))?;
            Some(list.to_owned())
        })
        .collect()
}

fn respond(world: &mut dyn World, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut response = Response::new(200);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    world.upstream(Upstream::Answers(response));
    world.send(Request::get(path))
}

fn x_frame_options_of_the_upstream_keep_their_force(world: &mut dyn World) {
    let mut after = |path: &str, values: &[&str]| {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("x-frame-options", *value))
            .collect();
        let response = respond(world, path, &headers);
        ancestors(&response)
    };
    for path in ["/", "/partner/", "/nonced/", "/set/"] {
        for denied in [
            &["DENY"][..],
            &["deny"],
            &[" Deny "],
            &["DENY", "DENY"],
            // Browsers forbid framing if values contradict each other.
            &["SAMEORIGIN", "DENY"],
            &["SAMEORIGIN, DENY"],
            &["SAMEORIGIN", "ALLOWALL"],
            &["ALLOW-FROM https://partner.example", "SAMEORIGIN"],
        ] {
            assert_eq!(after(path, denied), ["'none'"], "{path} {denied:?}");
        }
    }
    for own in [&["SAMEORIGIN"][..], &["sameorigin, SAMEORIGIN"]] {
        assert_eq!(after("/", own), ["'self'"], "{own:?}");
        assert_eq!(after("/set/", own), ["'self'"], "{own:?}");
        assert_eq!(after("/partner/", own), ["'self'"], "{own:?}");
    }
    // A value that browsers ignore forbids nothing.
    for nothing in [&["ALLOWALL"][..], &["bogus"], &[""], &["bogus", "nonsense"]] {
        assert_eq!(after("/", nothing), ["'self'"], "{nothing:?}");
    }
    // Both lists apply: the upstream does not allow the page's own origin.
    assert_eq!(
        after("/", &["ALLOW-FROM https://partner.example/"]),
        ["'self'", "https://partner.example"]
    );
}

fn frame_ancestors_of_the_upstream_keep_their_force(world: &mut dyn World) {
    let mut after = |policies: &[&str]| {
        let headers: Vec<_> = policies
            .iter()
            .map(|policy| ("content-security-policy", *policy))
            .collect();
        let response = respond(world, "/", &headers);
        assert_eq!(response.all("content-security-policy"), policies);
        response.get_header("x-frame-options").unwrap_or_default()
    };
    for none in [
        &["frame-ancestors 'none'"][..],
        &["default-src 'self'; Frame-Ancestors 'NONE';"],
        &["default-src 'self'", "frame-ancestors 'none'"],
        &["default-src 'self', frame-ancestors 'none'"],
        // An empty list allows nobody.
        &["frame-ancestors"],
    ] {
        assert_eq!(after(none), "DENY", "{none:?}");
    }
    for other in [
        "default-src 'self'",
        "frame-ancestors 'self'",
        "frame-ancestors https://a.example",
    ] {
        assert_eq!(after(&[other]), "SAMEORIGIN", "{other}");
    }
}

fn overriding_overrides_framing_too(world: &mut dyn World) {
    let theirs = [
        ("x-frame-options", "DENY"),
        ("content-security-policy", "frame-ancestors 'none'"),
    ];
    let response = respond(world, "/", &theirs);
    assert_eq!(ancestors(&response), ["'self'"]);
    assert_eq!(
        response.get_header("x-frame-options").as_deref(),
        Some("SAMEORIGIN")
    );
}
