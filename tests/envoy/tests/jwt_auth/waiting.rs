//! Many requests wait for the same keys.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::json;

use super::key_server::{KEYS, KeyServer, configuration};
use super::{ISSUER, bearer, now, plugin};

/// Forged tokens with the slowest algorithm wait for a key set. When it arrives, the worker has seconds of work, and
/// serves other requests meanwhile.
#[test]
fn a_crowd_that_is_woken_does_not_block_the_worker() {
    const CROWD: usize = 300;
    let issuer = Issuer::new(ISSUER, Algorithm::PS256);
    let server = KeyServer::start();
    let keys = Reply::new(200).body(issuer.jwks().to_string());
    server.answer(KEYS, keys.delay(Duration::from_secs(3)));
    let mut config = configuration(&json!({"timeout": "20s"}));
    config["providers"]["corp"]["algorithms"] = json!(["PS256"]);
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public"}}, "require": "none"},
        {"name": "all", "require": {"provider": "corp"}},
    ]);
    let envoy = Envoy::builder()
        .concurrency(1)
        .plugin(&plugin(&config))
        .cluster(bootstrap::cluster("idp", server.address()))
        .start();
    let crowd: Vec<Pending> = (0..CROWD)
        .map(|n| {
            let token = issuer.token(now()).claim("jti", n.to_string());
            let client = envoy.client();
            client.start(bearer(token.signature(&[1; 256]).sign()))
        })
        .collect();

    let mut connection = envoy.client().connect();
    let mut between = 0;
    loop {
        let finished = crowd.iter().filter(|it| it.is_finished()).count();
        if finished == CROWD {
            break;
        }
        assert_eq!(connection.send(&Request::get("/public")).status, 200);
        between += usize::from(finished > 0);
    }

    for pending in crowd {
        assert_eq!(pending.response().status, 401);
    }
    println!("{CROWD} forged tokens woken: {between} other requests answered between them");
    // None, or the next one, if they were all judged at once.
    assert!(between > 10, "{between}");
    envoy.assert_no_vm_failed();
}
