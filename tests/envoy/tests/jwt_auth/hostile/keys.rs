//! Algorithms and keys that the attacker chooses.

use portcullis_envoy_tests::upstream::{Reply, Upstream};
use portcullis_scenarios::tokens::{Algorithm, Issuer, Key, encode, hmac, jwks};
use serde_json::json;

use super::{assert_statuses, envoy, token};
use crate::{ISSUER, bearer, now};

#[test]
fn algorithms_of_the_attackers_choice() {
    let unsigned = [
        "none", "None", "NONE", "nOnE", "", "null", " none", "none\0",
    ]
    .map(|name| {
        let token = token().header("alg", name).signature(b"").sign();
        ("unsigned", bearer(token), 401)
    });
    let signed = ["none", "None"].map(|name| {
        (
            "none, signed",
            bearer(token().header("alg", name).sign()),
            401,
        )
    });
    // The public key is not secret. It has several encodings.
    let key = Key::new(Algorithm::RS256, 1);
    let jwk = key.jwk();
    let pem = key.public_pem();
    let secrets = [
        pem.clone(),
        pem.trim_end().to_owned(),
        jwk.to_string(),
        jwk["n"].to_string(),
        String::from("x"),
    ];
    let confused = secrets.iter().flat_map(|secret| {
        [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512].map(|algorithm| {
            let token = token().header("alg", algorithm.name());
            let tag = hmac(
                algorithm,
                secret.as_bytes(),
                token.signing_input().as_bytes(),
            );
            (
                "a public key as secret",
                bearer(token.signature(&tag).sign()),
                401,
            )
        })
    });
    let elliptic = |signature: Vec<u8>| {
        let token = Issuer::new(ISSUER, Algorithm::ES256).token(now());
        (
            "ES256 of special numbers",
            bearer(token.signature(&signature).sign()),
            401,
        )
    };
    let order = [
        &[0xff; 4][..],
        &[0; 4],
        &[0xff; 8],
        &[
            0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
            0x25, 0x51,
        ],
    ]
    .concat();
    let special = [
        vec![0; 64],
        vec![0xff; 64],
        [&[0; 31][..], &[1], &[0; 31], &[1]].concat(),
        [&order[..], &order].concat(),
        [&order[..], &[0; 32]].concat(),
        vec![0; 63],
        vec![0; 65],
        vec![0; 8],
        vec![1; 10_000],
    ]
    .map(elliptic);

    assert_statuses(
        &envoy(),
        unsigned
            .into_iter()
            .chain(signed)
            .chain(confused)
            .chain(special)
            .collect(),
    );
}

#[test]
fn keys_of_the_attackers_choice() {
    let evil = Upstream::start(|_| {
        let keys = jwks(&[Key::new(Algorithm::RS256, 2)]);
        Reply::new(200).body(keys.to_string())
    });
    let url = format!("http://{}/keys", evil.address());
    let theirs = Key::new(Algorithm::RS256, 2);
    let forged = || token().signed_by(&theirs);
    let ids = [
        "../../../../dev/null",
        "/dev/null",
        "file:///proc/self/environ",
        "' OR '1'='1",
        "rs256-1'; DROP TABLE keys; --",
        "rs256-1\0",
        "rs256-1 ",
        "RS256-1",
        "$(id)",
        "%00",
        "\u{202e}",
        "",
        "http://169.254.169.254/latest/meta-data",
    ];
    let ids = ids.map(|id| ("a kid", bearer(forged().header("kid", id).sign()), 401));
    let long = "k".repeat(10_000);
    let more = vec![
        (
            "a kid of 10 kB",
            bearer(forged().header("kid", long.as_str()).sign()),
            401,
        ),
        (
            "a kid that is an object",
            bearer(forged().header("kid", json!({"a": 1})).sign()),
            401,
        ),
        (
            "jwk",
            bearer(forged().header("jwk", theirs.jwk()).sign()),
            401,
        ),
        (
            "jku",
            bearer(forged().header("jku", url.as_str()).sign()),
            401,
        ),
        (
            "x5u",
            bearer(forged().header("x5u", url.as_str()).sign()),
            401,
        ),
        (
            "x5c",
            bearer(forged().header("x5c", json!([encode([0x30; 900])])).sign()),
            401,
        ),
        (
            "jku beside a good key",
            bearer(token().header("jku", url.as_str()).sign()),
            200,
        ),
        (
            "iss that is a URL of theirs",
            bearer(forged().claim("iss", url.as_str()).sign()),
            401,
        ),
    ];

    assert_statuses(&envoy(), ids.into_iter().chain(more).collect());

    assert_eq!(evil.requests(), [], "nobody is asked whom a token names");
}
