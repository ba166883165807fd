//! Key sets and tokens in the shapes in which identity providers publish and issue them.
//!
//! `providers` has a file for each: its settings, its set with the names of keys of these tests in the
//! place of key material, and a token. Whatever else is there is as that provider has it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{plugin, set};
use crate::tokens::{Algorithm, Key, Token};
use crate::{Cluster, Request, Response, Scenario, Upstream, World};

macro_rules! providers {
    ($($name:literal),* $(,)?) => {
        const PROVIDERS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("providers/", $name, ".json"))),)*
        ];
    };
}

providers![
    "adfs",
    "apple",
    "auth0",
    "cloudflare-access",
    "cognito",
    "dex",
    "entra-v1",
    "entra-v2",
    "firebase",
    "forgerock",
    "github-actions",
    "gitlab",
    "google",
    "hydra",
    "keycloak",
    "kubernetes",
    "okta",
    "ping",
    "salesforce",
    "spiffe",
    "zitadel",
];

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut remote = one("kubernetes");
    let source = json!({"remote": {
        "cluster": "idp", "uri": "https://idp.example/openid/v1/jwks", "timeout": "1s",
        "headers": {"X-Tenant": "shop"},
    }});
    if let Some(provider) = remote.pointer_mut("/providers/kubernetes") {
        set(provider, "jwks", source);
    }
    let scenario = |name, config: Value, story| Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    };
    vec![
        scenario(
            "jwt_auth::the_tokens_of_real_providers_are_good",
            all(),
            the_tokens_of_real_providers_are_good,
        ),
        scenario(
            "jwt_auth::a_tenant_is_that_of_its_claim",
            one("entra-v2"),
            a_tenant_is_that_of_its_claim,
        ),
        scenario(
            "jwt_auth::one_token_in_a_header_and_a_cookie",
            one("cloudflare-access"),
            one_token_in_a_header_and_a_cookie,
        ),
        scenario(
            "jwt_auth::a_server_that_looks_at_the_headers_of_a_fetch",
            remote,
            a_server_that_looks_at_the_headers_of_a_fetch,
        ),
    ]
}

fn read(name: &str) -> Value {
    let text = PROVIDERS.iter().find(|(own, _)| *own == name);
    let (_, text) = text.unwrap_or_else(|| panic!("there is no provider {name}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A key by its name, such as `RS256-1`.
fn key(name: &str) -> Key {
    let (algorithm, number) = name.split_once('-').expect("an algorithm and a number");
    let algorithm = Algorithm::ALL
        .into_iter()
        .find(|known| known.name() == algorithm);
    Key::new(
        algorithm.expect("an algorithm"),
        number.parse().expect("a number"),
    )
}

/// The set with keys in it.
fn document(provider: &Value) -> Value {
    let mut document = provider["document"].clone();
    for entry in document["keys"].as_array_mut().expect("keys") {
        let entry = entry.as_object_mut().expect("a key");
        let Some(name) = entry.remove("$key") else {
            continue;
        };
        let jwk = key(name.as_str().expect("a name")).jwk();
        for name in ["n", "e", "crv", "x", "y"] {
            if let Some(value) = jwk.get(name) {
                entry.insert(name.to_owned(), value.clone());
            }
        }
    }
    document
}

/// A token of the provider, with these claims in place of its own.
fn token(provider: &Value, claims: &Value) -> String {
    let token = &provider["token"];
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut all: Map<String, Value> = object(&token["claims"]);
    for (name, time) in [("iat", 1_700_000_000_u64), ("exp", super::signer::LATE)] {
        all.insert(name.to_owned(), time.into());
    }
    all.extend(object(claims));
    let key = key(token["key"].as_str().expect("a key"));
    Token::new(&key)
        .raw_header(token["header"].to_string())
        .raw_payload(Value::Object(all).to_string())
        .sign()
}

fn settings(provider: &Value) -> Value {
    let mut settings = provider["provider"].clone();
    let mut jwks = json!({ "inline": document(provider) });
    for (name, value) in provider["jwks"].as_object().into_iter().flatten() {
        set(&mut jwks, name, value.clone());
    }
    set(&mut settings, "jwks", jwks);
    settings
}

/// A configuration with that provider alone.
fn one(name: &str) -> Value {
    json!({
        "name": "edge",
        "providers": {name: settings(&read(name))},
        "rules": [{"name": "all", "require": {"provider": name}}],
    })
}

/// A configuration with all of them; each has the requests for its name.
fn all() -> Value {
    let mut providers = json!({});
    let mut rules = Vec::new();
    for (name, _) in PROVIDERS {
        set(&mut providers, name, settings(&read(name)));
        rules.push(json!({
            "name": name,
            "match": {"path": {"exact": format!("/{name}")}},
            "require": {"provider": name},
        }));
    }
    json!({"name": "edge", "providers": providers, "rules": rules})
}

fn send(world: &mut dyn World, name: &str, token: &str) -> u16 {
    let request = Request::get(&format!("/{name}"));
    let request = match name {
        "cloudflare-access" => request.header("cf-access-jwt-assertion", token),
        _ => request.header("authorization", format!("Bearer {token}")),
    };
    world.send(request).status
}

fn the_tokens_of_real_providers_are_good(world: &mut dyn World) {
    for (name, _) in PROVIDERS {
        let provider = read(name);
        let good = token(&provider, &json!({}));
        assert_eq!(send(world, name, &good), 200, "{name}");
        let expired = token(&provider, &json!({"exp": 1_600_000_001}));
        assert_eq!(send(world, name, &expired), 401, "{name}, expired");
        let (input, _) = good.rsplit_once('.').expect("three parts");
        let other = token(&provider, &json!({"sub": "eve"}));
        let (_, signature) = other.rsplit_once('.').expect("three parts");
        let forged = format!("{input}.{signature}");
        assert_eq!(send(world, name, &forged), 401, "{name}, forged");
    }
    let warnings = world.warnings().join("\n");
    for unused in [
        "keys of ping: not used: keys[2] (kid \"ec-3\"): unknown key type or curve",
        "keys of spiffe: not used: keys[0]: not for verifying signatures",
    ] {
        assert!(warnings.contains(unused), "{warnings}");
    }
    // None is good for another.
    let kubernetes = token(&read("kubernetes"), &json!({}));
    for (name, _) in PROVIDERS {
        if *name != "kubernetes" {
            assert_eq!(send(world, name, &kubernetes), 401, "{name}");
        }
    }
}

fn a_tenant_is_that_of_its_claim(world: &mut dyn World) {
    let provider = read("entra-v2");
    let issuer = |tenant: &str| format!("https://login.microsoftonline.example/{tenant}/v2.0");
    let mut status = |claims: Value| send(world, "", &token(&provider, &claims));
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    assert_eq!(status(json!({"iss": issuer(tenant), "tid": tenant})), 200);
    for claims in [
        json!({ "iss": issuer(tenant) }),
        json!({"iss": issuer(tenant), "tid": null}),
        json!({"iss": issuer("{tenantid}"), "tid": "{tenantid}"}),
        json!({"iss": issuer("a/../b"), "tid": "a/../b"}),
        json!({"iss": issuer(""), "tid": ""}),
        json!({"iss": "https://evil.example/v2.0", "tid": tenant}),
    ] {
        assert_eq!(status(claims.clone()), 401, "{claims}");
    }
}

fn one_token_in_a_header_and_a_cookie(world: &mut dyn World) {
    let provider = read("cloudflare-access");
    let good = token(&provider, &json!({}));
    let request = |header: &str, cookie: &str| {
        Request::get("/")
            .header("cf-access-jwt-assertion", header)
            .header("cookie", cookie)
    };
    let twice = format!("a=1; CF_Authorization={good}; CF_Authorization={good}");
    assert_eq!(world.send(request(&good, &twice)).status, 200);
    let received = world.received().pop().expect("a request");
    assert_eq!(received.get_header("cf-access-jwt-assertion"), None);
    assert_eq!(received.get_header("cookie").as_deref(), Some("a=1"));

    let other = token(&provider, &json!({"sub": "eve"}));
    let cookie = format!("CF_Authorization={other}");
    assert_eq!(world.send(request(&good, &cookie)).status, 400);
}

fn a_server_that_looks_at_the_headers_of_a_fetch(world: &mut dyn World) {
    let provider = read("kubernetes");
    let mut response = Response::new(200);
    response.body = document(&provider).to_string().into_bytes();
    world.serve(Cluster::Idp, Upstream::Answers(response));
    world.pass(Duration::from_secs(3));
    assert_eq!(send(world, "", &token(&provider, &json!({}))), 200);
    let calls = world.received_by(Cluster::Idp);
    let call = calls.first().expect("a fetch");
    let header = |name: &str| call.get_header(name).unwrap_or_default();
    assert_eq!(
        header("accept"),
        "application/jwk-set+json, application/json, */*"
    );
    assert!(header("user-agent").starts_with("portcullis/"));
    assert_eq!(header("x-tenant"), "shop");
}
