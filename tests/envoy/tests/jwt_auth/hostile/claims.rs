//! What attackers get into tokens that are good, and what is told of tokens to others.

use portcullis_envoy_tests::message::Request;
use serde_json::json;

use super::{envoy, token};
use crate::bearer;

/// What claims say never becomes another header, nor does it break the request.
#[test]
fn control_characters_in_claims() {
    let envoy = envoy();
    let subjects = [
        ("ada\r\nx-admin: yes", "ada  x-admin: yes"),
        ("ada\nx-admin: yes", "ada x-admin: yes"),
        ("ada\r", "ada"),
        ("\r\n\r\nGET / HTTP/1.1\r\n", "GET / HTTP/1.1"),
        ("a\0b\u{1}c\u{1f}d\u{7f}e\tf", "a b c d e f"),
    ];
    for (subject, expected) in subjects {
        let token = token()
            .claim("sub", subject)
            .claim("roles", json!([subject]));
        let request = bearer(token.sign())
            .header("x-user", "root")
            .header("x-roles", "root");
        let response = envoy.client().send(&request);
        assert_eq!(response.status, 200, "{subject:?}: {response:?}");
        let lines: Vec<&[u8]> = response.headers.all("x-user").collect();
        assert_eq!(lines, [expected.as_bytes()], "{subject:?}");
        let roles: Vec<&[u8]> = response.headers.all("x-roles").collect();
        assert_eq!(roles.len(), 1, "{subject:?}: {response:?}");
        assert!(!roles[0].contains(&b'\n') && roles[0] != b"root");
        assert_eq!(response.header("x-admin"), None, "{subject:?}");
    }
    let empty = token().claim("sub", "\r\n").claim("roles", json!(null));
    let request = bearer(empty.sign())
        .header("x-user", "root")
        .header("x-roles", "root");
    let response = envoy.client().send(&request);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-user"), None);
    assert_eq!(response.header("x-roles"), None);
    envoy.assert_no_vm_failed();
}

/// Neither in the answer nor, at the usual level, in the log, nor in the names of metrics.
#[test]
fn no_token_is_told_to_anybody() {
    let envoy = envoy();
    let secret = "c0ffee-do-not-tell";
    let good = token().claim("sub", secret).sign();
    let (_, forged_payload) = good.split_once('.').expect("three parts");
    let forged = token()
        .claim("sub", secret)
        .header("kid", secret)
        .signature(secret.as_bytes())
        .sign();
    for token in [
        good.clone(),
        forged.clone(),
        format!("{good}{good}"),
        secret.to_owned(),
    ] {
        let path = format!("/secret/path?access_token={token}&other={secret}");
        let response = envoy.client().send(&Request::get(path));
        let shown = format!("{:?}", (&response.headers, &response.body));
        if response.status != 200 {
            assert!(
                !shown.contains(secret) && !shown.contains("/secret/path"),
                "{shown}"
            );
        }
    }
    let stats = envoy.admin("/stats");
    for told in [secret, &forged, forged_payload] {
        assert!(!stats.contains(told));
        let log = envoy.log();
        let record = log.iter().find(|record| record.message.contains(told));
        assert_eq!(record, None);
    }
}
