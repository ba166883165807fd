//! Hostile claims in valid tokens, and secrecy of tokens.

use portcullis_envoy_tests::message::Request;

use super::{envoy, token};
use crate::bearer;

/// A claim never creates another header, breaks the request, or changes the value of another claim.
#[test]
fn control_characters_in_claims() {
    let envoy = envoy();
    for subject in [
        "ada\r\nx-admin: yes",
        "ada\nx-admin: yes",
        "ada\r",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "a\0b\u{1}c\u{1f}d\u{7f}e\tf",
        "\r\n",
        " ada",
    ] {
        let request = bearer(token().claim("sub", subject).sign())
            .header("x-user", "root")
            .header("x-roles", "root");
        let response = envoy.client().send(&request);
        assert_eq!(response.status, 403, "{subject:?}: {response:?}");
        assert_eq!(response.header("x-admin"), None, "{subject:?}");
    }
    assert_eq!(envoy.upstream().requests().len(), 0);
    envoy.assert_no_vm_failed();
}

/// Tokens appear neither in responses, nor in the log at the default level, nor in the names of metrics.
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
