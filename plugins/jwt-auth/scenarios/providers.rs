//! Key sets and tokens in the formats of real identity providers.

use std::time::Duration;

use serde_json::{Value, json};

use super::{plugin, set};
use crate::tokens::Provider;
use crate::{Cluster, Request, Response, Scenario, Upstream, World};

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

fn settings(provider: &Provider) -> Value {
    let mut settings = provider.settings().clone();
    let mut jwks = json!({ "inline": provider.document() });
    for (name, value) in provider.jwks_settings() {
        set(&mut jwks, &name, value);
    }
    set(&mut settings, "jwks", jwks);
    settings
}

/// A configuration with only this provider.
fn one(name: &str) -> Value {
    json!({
        "name": "edge",
        "providers": {name: settings(&Provider::named(name))},
        "rules": [{"name": "all", "require": {"provider": name}}],
    })
}

/// A configuration with all providers; each one has the path with its name.
fn all() -> Value {
    let mut providers = json!({});
    let mut rules = Vec::new();
    for provider in Provider::all() {
        let name = provider.name();
        set(&mut providers, name, settings(&provider));
        rules.push(json!({
            "name": name,
            "match": {"path": {"exact": format!("/{name}")}},
            "require": {"provider": name},
        }));
    }
    json!({"name": "edge", "providers": providers, "rules": rules})
}

fn send(world: &mut dyn World, provider: &Provider, token: &str) -> u16 {
    let (header, value) = provider.header(token);
    let request = Request::get(&format!("/{}", provider.name()));
    world.send(request.header(header, value)).status
}

fn the_tokens_of_real_providers_are_good(world: &mut dyn World) {
    for provider in Provider::all() {
        let name = provider.name();
        let good = provider.token(&json!({}));
        assert_eq!(send(world, &provider, &good), 200, "{name}");
        let expired = provider.token(&json!({"exp": 1_600_000_001}));
        assert_eq!(send(world, &provider, &expired), 401, "{name}, expired");
        let (input, _) = good.rsplit_once('.').expect("three parts");
        let other = provider.token(&json!({"sub": "eve"}));
        let (_, signature) = other.rsplit_once('.').expect("three parts");
        let forged = format!("{input}.{signature}");
        assert_eq!(send(world, &provider, &forged), 401, "{name}, forged");
    }
    let warnings = world.warnings().join("\n");
    for unused in [
        "keys of ping: not used: keys[2] (kid \"ec-3\"): unknown key type or curve",
        "keys of spiffe: not used: keys[0]: not for verifying signatures",
    ] {
        assert!(warnings.contains(unused), "{warnings}");
    }
    // No token is valid for another provider.
    let kubernetes = Provider::named("kubernetes").token(&json!({}));
    for provider in Provider::all() {
        if provider.name() != "kubernetes" {
            let name = provider.name();
            assert_eq!(send(world, &provider, &kubernetes), 401, "{name}");
        }
    }
}

fn a_tenant_is_that_of_its_claim(world: &mut dyn World) {
    let provider = Provider::named("entra-v2");
    let issuer = |tenant: &str| format!("https://login.microsoftonline.example/{tenant}/v2.0");
    let mut status = |claims: Value| send(world, &provider, &provider.token(&claims));
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
    let provider = Provider::named("cloudflare-access");
    let good = provider.token(&json!({}));
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

    let other = provider.token(&json!({"sub": "eve"}));
    let cookie = format!("CF_Authorization={other}");
    assert_eq!(world.send(request(&good, &cookie)).status, 400);
}

fn a_server_that_looks_at_the_headers_of_a_fetch(world: &mut dyn World) {
    let provider = Provider::named("kubernetes");
    let mut response = Response::new(200);
    response.body = provider.document().to_string().into_bytes();
    world.serve(Cluster::Idp, Upstream::Answers(response));
    world.pass(Duration::from_secs(3));
    assert_eq!(send(world, &provider, &provider.token(&json!({}))), 200);
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
