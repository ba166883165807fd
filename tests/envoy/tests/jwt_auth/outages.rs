//! Key servers that are down, slow, or send invalid responses.

use std::time::Duration;

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_envoy_tests::upstream::{Ending, Reply};
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::json;

use super::key_server::{KEYS, KeyServer, configuration};
use super::{ISSUER, bearer, count, now};

fn issuer() -> Issuer {
    Issuer::new(ISSUER, Algorithm::ES256)
}

fn send(envoy: &Envoy, issuer: &Issuer) -> Response {
    envoy.client().send(&bearer(issuer.token(now()).sign()))
}

/// Number of key fetches with this result.
fn fetches(envoy: &Envoy, result: &str) -> u64 {
    count(
        envoy,
        &format!("provider=.=corp;.;result=.={result};.;"),
        "jwks_fetches",
    )
}

fn failed_fetches(envoy: &Envoy) -> u64 {
    let results = ["status", "broken_off", "unusable"];
    results.iter().map(|result| fetches(envoy, result)).sum()
}

#[test]
fn a_server_that_is_down_at_start_costs_503_until_it_is_up() {
    let issuer = issuer();
    let server = KeyServer::with_keys(&issuer.jwks());
    server.go_down();
    let envoy = server.envoy(&configuration(&json!({"timeout": "300ms"})));

    let response = send(&envoy, &issuer);
    assert_eq!(response.status, 503, "{response:?}");
    let retry_after = response.header("retry-after").map(str::parse::<u32>);
    assert!(
        matches!(retry_after, Some(Ok(1..=10))),
        "{:?}",
        response.headers
    );
    assert_eq!(response.header("www-authenticate"), None);
    let nobody = envoy.client().send(&bearer("nobody"));
    assert_eq!(nobody.status, 401, "what is no token is not kept waiting");
    // Incoming requests do not increase the number of fetches.
    let before = failed_fetches(&envoy);
    for _ in 0..20 {
        assert_eq!(send(&envoy, &issuer).status, 503);
    }
    assert!(failed_fetches(&envoy) <= before + 4);
    assert_eq!(envoy.upstream().requests().len(), 0);

    server.come_up();

    wait_until("the keys", || send(&envoy, &issuer).status == 200);
    for _ in 0..32 {
        assert_eq!(send(&envoy, &issuer).status, 200, "every worker has them");
    }
    assert_eq!(server.fetches(KEYS), 1);
    envoy.assert_no_vm_failed();
}

#[test]
fn a_server_that_goes_down_is_not_missed() {
    let issuer = issuer();
    let server = KeyServer::with_keys(&issuer.jwks());
    let envoy = server.envoy(&configuration(&json!({"refresh": "1s"})));
    assert_eq!(send(&envoy, &issuer).status, 200);

    server.go_down();

    wait_until("some failed fetches", || failed_fetches(&envoy) >= 3);
    for _ in 0..32 {
        assert_eq!(send(&envoy, &issuer).status, 200);
    }
    let age = count(&envoy, "provider=.=corp;.;", "jwks_age_seconds");
    assert!(age >= 1, "the metric says how old they are: {age}");
    let unknown = issuer.token(now()).header("kid", "unknown").sign();
    let response = envoy.client().send(&bearer(unknown));
    assert_eq!(response.status, 401, "the keys at hand decide");

    server.come_up();
    let good = fetches(&envoy, "good");
    wait_until("a good fetch", || fetches(&envoy, "good") > good);
}

#[test]
fn keys_that_are_too_old_are_not_used() {
    let issuer = issuer();
    let server = KeyServer::with_keys(&issuer.jwks());
    let settings = json!({"refresh": "1s", "keep_stale": "1s", "timeout": "300ms"});
    let mut configuration = configuration(&settings);
    configuration["cache"] = json!({"tokens": 1000});
    let envoy = server.envoy(&configuration);
    let token = issuer.token(now()).sign();
    let status = || envoy.client().send(&bearer(&token)).status;
    assert_eq!(status(), 200);

    server.go_down();

    wait_until("the keys to expire", || status() == 503);
    server.come_up();
    wait_until("the keys to come back", || status() == 200);
    envoy.assert_no_vm_failed();
}

/// The current keys stay, whatever the server sends.
#[test]
fn nonsense_never_replaces_good_keys() {
    let issuer = issuer();
    let server = KeyServer::with_keys(&issuer.jwks());
    let envoy = server.envoy(&configuration(
        &json!({"refresh": "1s", "timeout": "200ms"}),
    ));
    assert_eq!(send(&envoy, &issuer).status, 200);
    let keys = issuer.jwks()["keys"][0].clone();
    let secret = json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"});
    let ok = |body: String| Reply::new(200).body(body);
    let huge = format!("{}{}", issuer.jwks(), " ".repeat(2 << 20));
    let nonsense = [
        ("a web page", ok("<html>Sign in</html>".to_owned())),
        ("nothing", ok(String::new())),
        ("no set", ok("{}".to_owned())),
        ("an empty set", ok(json!({"keys": []}).to_string())),
        (
            "a key of no use",
            ok(json!({"keys": [{"kty": "EC", "crv": "P-521"}]}).to_string()),
        ),
        (
            "a secret among keys",
            ok(json!({"keys": [keys, secret]}).to_string()),
        ),
        ("half of it", ok(issuer.jwks().to_string()[..80].to_owned())),
        (
            "not UTF-8",
            Reply::new(200).body(*b"{\"keys\": [\"\xff\"]}"),
        ),
        ("too much", ok(huge)),
        ("depth", ok(format!("{{\"keys\": {}", "[".repeat(100_000)))),
        (
            "a redirect",
            Reply::new(302).header("location", "http://evil.example/"),
        ),
        (
            "an error with keys",
            Reply::new(500).body(issuer.jwks().to_string()),
        ),
        (
            "no end",
            ok(issuer.jwks().to_string()).ending(Ending::Close),
        ),
        ("a reset", Reply::none(Ending::Reset)),
        (
            "silence",
            ok(issuer.jwks().to_string()).delay(Duration::from_millis(600)),
        ),
    ];
    for (what, reply) in nonsense {
        server.answer(KEYS, reply);
        let asked = server.fetches(KEYS);
        // The first may have been answered before.
        wait_until(what, || server.fetches(KEYS) > asked);
        let failed = failed_fetches(&envoy);
        wait_until(what, || failed_fetches(&envoy) > failed);
        for _ in 0..8 {
            assert_eq!(send(&envoy, &issuer).status, 200, "{what}");
        }
    }
    server.publish(KEYS, &issuer.jwks());
    let good = fetches(&envoy, "good");
    wait_until("a good fetch", || fetches(&envoy, "good") > good);
    envoy.assert_no_vm_failed();
}
