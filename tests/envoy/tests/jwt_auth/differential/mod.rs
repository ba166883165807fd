//! Sends the same requests to jwt-auth and to Envoy's own `jwt_authn`, with the same keys and settings.
//!
//! They must agree on each, except for cases with a reason. Defaults stay in both: a stricter default is also a
//! difference.

mod claims;
mod difference;
mod headers;
mod key_sets;
mod requests;
mod spellings;

use std::collections::BTreeSet;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::message::{Request, Response};
use portcullis_envoy_tests::upstream::Reply;
use portcullis_scenarios::tokens::{Algorithm, Issuer, Key, Token, jwks};
use serde_json::{Value, json};

use super::{ISSUER, bearer, now, plugin};

/// The issuer with secret keys; sets with both kinds are refused by jwt-auth.
const SECRET_ISSUER: &str = "https://secret.example";

/// A request, and the responses of both filters.
struct Case {
    name: &'static str,
    request: Request,
    ours: u16,
    native: u16,
    /// The reason for their difference, if they differ.
    why: Option<&'static str>,
}

impl Case {
    fn both(name: &'static str, request: Request, status: u16) -> Self {
        Self {
            name,
            request,
            ours: status,
            native: status,
            why: None,
        }
    }

    fn differs(
        name: &'static str,
        request: Request,
        (ours, native): (u16, u16),
        why: &'static str,
    ) -> Self {
        assert_ne!(ours, native, "{name} is no difference: {why}");
        Self {
            name,
            request,
            ours,
            native,
            why: Some(why),
        }
    }

    /// Sends it to both. Returns the differences from the expectation.
    fn check(&self, ours: &Envoy, native: &Envoy) -> Option<String> {
        let (our, their) = (
            ours.client().send(&self.request),
            native.client().send(&self.request),
        );
        let (found, expected) = ((our.status, their.status), (self.ours, self.native));
        let name = self.name;
        if found != expected {
            let why = self.why.unwrap_or("no difference is known");
            return Some(format!(
                "{name}: jwt-auth and jwt_authn answered {found:?}, expected {expected:?}: {why}"
            ));
        }
        let is_same = found != (200, 200) || passed_on(&our) == passed_on(&their);
        (!is_same).then(|| format!("{name}: the upstreams got {our:?} and {their:?}"))
    }
}

/// Both accept it.
fn good(name: &'static str, token: &Token) -> Case {
    Case::both(name, bearer(token.sign()), 200)
}

/// Both refuse it.
fn bad(name: &'static str, token: &Token) -> Case {
    Case::both(name, bearer(token.sign()), 401)
}

/// Only jwt-auth refuses it.
fn stricter(name: &'static str, token: &Token, why: &'static str) -> Case {
    Case::differs(name, bearer(token.sign()), (401, 200), why)
}

/// Only jwt-auth accepts it.
fn milder(name: &'static str, token: &Token, why: &'static str) -> Case {
    Case::differs(name, bearer(token.sign()), (200, 401), why)
}

/// Makes the tokens of the cases.
struct Mint {
    now: u64,
}

impl Mint {
    fn with(&self, algorithm: Algorithm) -> Token {
        Issuer::new(issuer_of(algorithm), algorithm).token(self.now)
    }

    /// A valid token.
    fn token(&self) -> Token {
        self.with(Algorithm::RS256)
    }
}

fn is_secret(algorithm: Algorithm) -> bool {
    algorithm.name().starts_with("HS")
}

fn issuer_of(algorithm: Algorithm) -> &'static str {
    match is_secret(algorithm) {
        true => SECRET_ISSUER,
        false => ISSUER,
    }
}

/// The keys of an issuer, one for each algorithm.
fn keys(secret: bool) -> Value {
    let algorithms = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| is_secret(*algorithm) == secret);
    let keys: Vec<Key> = algorithms.map(|algorithm| Key::new(algorithm, 1)).collect();
    jwks(&keys)
}

fn ours() -> Envoy {
    let provider = |issuer, secret| {
        json!({
            "issuer": issuer,
            "audiences": ["shop"],
            "jwks": {"inline": keys(secret)},
            "claims_to_headers": {"x-user": "sub"},
            "forward_payload_header": "x-payload",
        })
    };
    let mut secret = provider(SECRET_ISSUER, true);
    secret["algorithms"] = json!(["HS256", "HS384", "HS512"]);
    let filter = plugin(&json!({
        "name": "edge",
        "providers": {"public": provider(ISSUER, false), "secret": secret},
        "rules": [{"name": "all", "require": {"any": ["public", "secret"]}}],
    }));
    start(Envoy::builder().plugin(&filter))
}

fn native() -> Envoy {
    let provider = |issuer, secret| {
        json!({
            "issuer": issuer,
            "audiences": ["shop"],
            "local_jwks": {"inline_string": keys(secret).to_string()},
            "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            "forward_payload_header": "x-payload",
        })
    };
    start(Envoy::builder().native(json!({
        "name": "jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"public": provider(ISSUER, false), "secret": provider(SECRET_ISSUER, true)},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [
                    {"provider_name": "public"}, {"provider_name": "secret"},
                ]}},
            }],
            "bypass_cors_preflight": true,
        },
    })))
}

/// The upstream returns the headers that it received to the client.
fn start(builder: Builder) -> Envoy {
    let echo = |request: &Request| {
        PASSED_ON.iter().fold(Reply::new(200), |reply, name| {
            let lines: Vec<&[u8]> = request.headers.all(name).collect();
            match lines.is_empty() {
                true => reply,
                false => reply.header(*name, lines.join(&b'|')),
            }
        })
    };
    builder.concurrency(1).upstream(echo).start()
}

const PASSED_ON: [&str; 3] = ["x-user", "x-payload", "authorization"];

fn passed_on(response: &Response) -> [Option<&[u8]>; 3] {
    PASSED_ON.map(|name| response.headers.get(name))
}

#[test]
fn as_strict_as_jwt_authn_and_stricter_where_it_is_written() {
    let (ours, native) = (ours(), native());
    let groups = [
        headers::cases,
        claims::cases,
        spellings::cases,
        requests::cases,
    ];
    let (mut names, mut reasons) = (BTreeSet::new(), key_sets::compare());
    let mut wrong = Vec::new();
    for group in groups {
        for case in group(&Mint { now: now() }) {
            assert!(names.insert(case.name), "two are called {:?}", case.name);
            reasons.extend(case.why);
            wrong.extend(case.check(&ours, &native));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(reasons, listed().iter().map(String::as_str).collect());
    ours.assert_no_vm_failed();
}

/// The items of the README's section about this.
fn listed() -> Vec<String> {
    let readme = artifacts::repository().join("plugins/jwt-auth/README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let (_, section) = readme.split_once(SECTION).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let words = |item: &str| item.split_whitespace().collect::<Vec<_>>().join(" ");
    let paragraphs = section.split("\n\n");
    let lists = paragraphs.filter_map(|paragraph| paragraph.trim().strip_prefix("- "));
    lists
        .flat_map(|list| list.split("\n- "))
        .map(words)
        .collect()
}

const SECTION: &str = "\n## Next to `jwt_authn`\n";
