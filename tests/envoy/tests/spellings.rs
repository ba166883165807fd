//! Spellings of a path on a real Envoy, with and without its normalisation: every spelling that passes is treated like its
//! plain spelling.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use serde_json::{Value, json};

/// Paths from one folder to its neighbour, as some server resolves them.
const WAYS: [&str; 26] = [
    "/..",
    "/../.",
    "/%2e%2e",
    "/.%2E",
    "/%252e%252e",
    "/%25252e%25252e",
    "%2f..",
    "/..%2f",
    "%2F%2e%2e",
    "%252f..",
    "/..;",
    "/..;v=1",
    "/%2e%2e;",
    "/..%3b",
    "/;/..",
    "/..\\",
    "\\..",
    "%5c..",
    "%255c..",
    "/x/../..",
    "//..",
    "/.//..",
    "/..%00",
    "/%c0%ae%c0%ae",
    "/%e0%80%ae.",
    "/%u002e%u002e",
];

/// Targets that start in one folder and, for some server, end in the other.
fn dodges(from: &str, to: &str) -> Vec<String> {
    let mut dodges: Vec<String> = WAYS.iter().map(|way| format!("{from}{way}{to}x")).collect();
    let upper = to.to_ascii_uppercase();
    dodges.extend([
        format!("/{to}x"),
        format!("//host{to}x"),
        format!("/\\host{to}x"),
        format!("/.{to}x"),
        format!("/;{to}x"),
        format!("{from}{to}%2e%2e%2f..{to}x"),
        format!("{from}/%2e{to}/../..{to}x"),
        format!(
            "/%{:02x}{}x",
            to.as_bytes().get(1).copied().unwrap_or(b'/'),
            to.get(2..).unwrap_or("")
        ),
        format!("{}%2fx", to.trim_end_matches('/')),
        format!("{}%3b/x", to.trim_end_matches('/')),
        format!("{}\\x", to.trim_end_matches('/')),
        format!("{upper}x"),
        to.trim_end_matches('/').to_owned(),
        upper.trim_end_matches('/').to_owned(),
    ]);
    dodges
}

fn settings() -> [Value; 3] {
    [
        json!({}),
        json!({"normalize_path": true}),
        json!({
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        }),
    ]
}

fn envoy(plugin: &str, configuration: &Value, settings: Value) -> Envoy {
    let plugin = PluginFilter::new(plugin).configuration(&configuration.to_string());
    Envoy::builder()
        .plugin(&plugin)
        .connection_manager(settings)
        .upstream(|request| Reply::new(200).header("x-target", request.target.as_str()))
        .start()
}

/// Sends a target unchanged. Returns the target at the upstream, or the status if the request did not reach it.
fn send(envoy: &Envoy, target: &str) -> Result<String, u16> {
    let bytes = format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
    match envoy.client().send_bytes(bytes.as_bytes()) {
        Ok(response) => response
            .header("x-target")
            .map(str::to_owned)
            .ok_or(response.status),
        Err(error) => panic!("{target}: {error}"),
    }
}

/// No spelling leads from a folder that needs a token to one that does not, or vice versa.
#[test]
fn no_spelling_opens_a_path_without_a_token() {
    let configuration = json!({
        "providers": {"corp": {"issuer": "https://idp.example", "jwks": {"inline": {"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]}}}},
        "rules": [
            {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
            {"name": "rest", "require": {"provider": "corp"}},
        ],
    });
    for settings in settings() {
        let envoy = envoy("jwt-auth", &configuration, settings.clone());
        assert_eq!(send(&envoy, "/public/x"), Ok("/public/x".to_owned()));
        assert_eq!(send(&envoy, "/admin/x"), Err(401));
        for target in [dodges("/admin", "/public/"), dodges("/public", "/admin/")].concat() {
            match send(&envoy, &target) {
                // Envoy itself has normalised it.
                Ok(received) => assert!(
                    (is_plain(&received) && received.starts_with("/public/"))
                        || (received == target && target.starts_with("/public/x")),
                    "{settings}: {target} was forwarded as {received}"
                ),
                Err(status) => assert!(
                    matches!(status, 307 | 400 | 401),
                    "{settings}: {target} was answered with {status}"
                ),
            }
        }
        for target in [
            "/public/a%20b",
            "/public/caf%C3%A9",
            "/public/a;v=1/b",
            "/public/@scope%2fname",
        ] {
            assert!(send(&envoy, target).is_ok(), "{settings}: {target}");
        }
        envoy.assert_no_vm_failed();
    }
}

/// A limit counts every request that may be below its path.
#[test]
fn no_spelling_escapes_a_limit() {
    let configuration = json!({"limits": [{
        "name": "admin", "match": {"path": {"prefix": "/admin/"}}, "rate": {"requests": 2, "per": "1h"},
    }]});
    for settings in settings() {
        let envoy = envoy("rate-limit", &configuration, settings.clone());
        assert!(send(&envoy, "/admin/x").is_ok());
        assert!(send(&envoy, "/admin/x").is_ok());
        assert_eq!(send(&envoy, "/admin/x"), Err(429));
        for target in [dodges("/admin", "/public/"), dodges("/public", "/admin/")].concat() {
            match send(&envoy, &target) {
                Ok(received) => assert!(
                    (is_plain(&received) && !received.to_ascii_lowercase().starts_with("/admin"))
                        || !names_admin(&received),
                    "{settings}: {target} was forwarded as {received}"
                ),
                Err(status) => assert!(
                    matches!(status, 307 | 400 | 429),
                    "{settings}: {target} was answered with {status}"
                ),
            }
        }
        envoy.assert_no_vm_failed();
    }
}

/// Whether every server reads this as the same path.
fn is_plain(target: &str) -> bool {
    !target.contains(['%', ';', '\\']) && !target.contains("..") && !target.contains("//")
}

/// Whether some server may read one of our targets as below `/admin/`.
fn names_admin(target: &str) -> bool {
    target.to_ascii_lowercase().contains("admin")
}

/// HTTP/2 clients can send methods in any letter case; Werkzeug accepts them.
#[test]
fn the_letter_case_of_a_method_opens_nothing() {
    let configuration = json!({
        "providers": {"corp": {"issuer": "https://idp.example", "jwks": {"inline": {"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]}}}},
        "rules": [
            {"name": "write", "match": {"methods": ["POST"]}, "require": {"provider": "corp"}},
            {"name": "read", "require": "none"},
        ],
    });
    let envoy = envoy("jwt-auth", &configuration, json!({}));
    let client = envoy.http2_client();
    let status = |method: &str| {
        client
            .send(&Request::new(method, "/x").header("host", "a"))
            .status
    };
    assert_eq!(status("GET"), 200);
    for method in ["POST", "post", "Post", "pOST"] {
        assert_eq!(status(method), 401, "{method}");
    }
}
