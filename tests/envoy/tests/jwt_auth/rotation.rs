//! New keys under traffic.

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_scenarios::tokens::{Algorithm, Issuer, jwks};
use serde_json::json;

use super::key_server::{KEYS, KeyServer, configuration};
use super::{ISSUER, bearer, now};

/// Enough for each worker to have some.
const CONNECTIONS: usize = 32;

fn statuses(
    envoy: &Envoy,
    requests: usize,
    request: impl Fn(usize) -> Request + Send + Sync + 'static,
) -> Vec<u16> {
    let statuses = load::run(envoy.address(PLAIN), CONNECTIONS, requests, request);
    statuses.unwrap_or_else(|error| panic!("{error}"))
}

/// Requests that arrive before the keys wait for them; one worker fetches for all.
#[test]
fn the_first_requests_wait_for_the_keys() {
    let issuer = Issuer::new(ISSUER, Algorithm::RS256);
    let server = KeyServer::with_keys(&issuer.jwks());
    let envoy = server.envoy(&configuration(&json!({"timeout": "10s"})));
    let token = issuer.token(now()).sign();

    let statuses = statuses(&envoy, 200, move |_| bearer(&token));

    assert_eq!(statuses, vec![200; 200]);
    assert_eq!(server.fetches(KEYS), 1);
    envoy.assert_no_vm_failed();
}

#[test]
fn a_rotation_costs_one_fetch_and_no_request() {
    let mut issuer = Issuer::new(ISSUER, Algorithm::RS256);
    let server = KeyServer::with_keys(&issuer.jwks());
    let envoy = server.envoy(&configuration(&json!({"timeout": "10s"})));
    let (old_key, old) = (issuer.key().clone(), issuer.token(now()).sign());
    let first = old.clone();
    assert_eq!(statuses(&envoy, 64, move |_| bearer(&first)), vec![200; 64]);

    issuer.rotate();
    let new = issuer.token(now()).sign();
    server.publish(KEYS, &jwks([&old_key, issuer.key()]));
    let statuses = statuses(&envoy, 1_000, move |n| {
        bearer(if n.is_multiple_of(2) { &new } else { &old })
    });

    assert_eq!(statuses, vec![200; 1_000]);
    assert_eq!(server.fetches(KEYS), 2);
    envoy.assert_no_vm_failed();
}

/// A client that invents key ids causes one fetch per `min_refetch_interval`, without an effect on others.
#[test]
fn unknown_keys_are_asked_for_once() {
    let issuer = Issuer::new(ISSUER, Algorithm::RS256);
    let server = KeyServer::with_keys(&issuer.jwks());
    let envoy = server.envoy(&configuration(&json!({"min_refetch_interval": "1h"})));
    let good = issuer.token(now()).sign();
    assert_eq!(envoy.client().send(&bearer(&good)).status, 200);

    let forged = issuer.token(now()).signature(&[1; 256]);
    let statuses = statuses(&envoy, 2_000, move |n| match n % 4 {
        0 => bearer(&good),
        _ => bearer(forged.clone().header("kid", format!("k{n}")).sign()),
    });

    for (n, status) in statuses.into_iter().enumerate() {
        let expected = if n % 4 == 0 { 200 } else { 401 };
        assert_eq!(status, expected, "request {n}");
    }
    assert_eq!(server.fetches(KEYS), 2);
    envoy.assert_no_vm_failed();
}

/// A key that the issuer has withdrawn is no longer accepted, even for tokens verified before.
#[test]
fn a_key_that_is_withdrawn_is_no_longer_accepted() {
    let mut issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let server = KeyServer::with_keys(&issuer.jwks());
    let mut configuration = configuration(&json!({"refresh": "1s"}));
    configuration["cache"] = json!({"tokens": 1000});
    let envoy = server.envoy(&configuration);
    let token = issuer.token(now()).sign();
    let status = || envoy.client().send(&bearer(&token)).status;
    assert_eq!(status(), 200);

    issuer.rotate();
    server.publish(KEYS, &issuer.jwks());

    wait_until("the token to be refused", || status() == 401);
    // Workers receive it one after the other.
    wait_until("all workers to refuse it", || {
        (0..32).all(|_| status() == 401)
    });
    let token = issuer.token(now()).sign();
    assert_eq!(envoy.client().send(&bearer(&token)).status, 200);
}
