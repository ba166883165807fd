//! The same key sets for both filters, from one server, each with a token that is signed with one of its keys.
//!
//! `odd.json` has keys that the code of these tests cannot generate, each with a token: its issuer is
//! `https://<name>.example`, and it expires in the year 2100. Their private keys were not kept.

mod material;
mod members;
mod providers;
mod sets;

use std::collections::BTreeSet;

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use portcullis_scenarios::tokens::{Algorithm, Key, Token};
use serde_json::{Value, json};

use super::difference::NO_KEYS;
use crate::{now, plugin};

/// A key set, a token, and the responses of both filters to a request with it.
pub(super) struct Case {
    pub(super) name: &'static str,
    document: Vec<u8>,
    provider: Value,
    /// The header field with the token.
    header: (&'static str, String),
    ours: u16,
    native: u16,
    pub(super) why: Option<&'static str>,
}

/// The issuer of a case's token, if the token is made here.
fn issuer(name: &str) -> String {
    format!("https://{}.example", slug(name))
}

/// A name as one segment of a path or label of a host.
fn slug(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
        _ => '-',
    });
    letters.collect()
}

/// A token with the usual claims, signed with that key.
fn signed(key: &Key) -> Token {
    let now = now();
    Token::new(key)
        .header("typ", "JWT")
        .claim("sub", "ada")
        .claim("aud", "shop")
        .claim("iat", now)
        .claim("exp", now + 600)
}

impl Case {
    fn new(
        name: &'static str,
        document: impl Into<Vec<u8>>,
        token: &Token,
        (ours, native): (u16, u16),
        why: Option<&'static str>,
    ) -> Self {
        assert_eq!(ours != native, why.is_some(), "{name}: {why:?}");
        let issuer = issuer(name);
        let token = token.clone().claim("iss", issuer.as_str()).sign();
        Self {
            name,
            document: document.into(),
            provider: json!({"issuer": issuer, "audiences": ["shop"]}),
            header: ("authorization", format!("Bearer {token}")),
            ours,
            native,
            why,
        }
    }

    /// Both accept the token.
    fn good(name: &'static str, document: impl Into<Vec<u8>>, token: &Token) -> Self {
        Self::new(name, document, token, (200, 200), None)
    }

    /// Both accept the set and refuse the token.
    fn bad(name: &'static str, document: impl Into<Vec<u8>>, token: &Token) -> Self {
        Self::new(name, document, token, (401, 401), None)
    }

    /// Both refuse the set.
    fn unusable(name: &'static str, document: impl Into<Vec<u8>>) -> Self {
        let token = signed(&rs256());
        Self::new(name, document, &token, (503, 401), Some(NO_KEYS))
    }

    /// Only jwt-auth refuses the set, because it has no usable key.
    fn stricter(
        name: &'static str,
        document: impl Into<Vec<u8>>,
        token: &Token,
        why: &'static str,
    ) -> Self {
        Self::new(name, document, token, (503, 200), Some(why))
    }

    /// Both accept the set, and only jwt-auth refuses the token.
    fn refused(
        name: &'static str,
        document: impl Into<Vec<u8>>,
        token: &Token,
        why: &'static str,
    ) -> Self {
        Self::new(name, document, token, (401, 200), Some(why))
    }

    /// A key of `odd.json`.
    fn odd(name: &'static str, answers: (u16, u16), why: Option<&'static str>) -> Self {
        let file: Value = serde_json::from_str(include_str!("odd.json")).expect("JSON");
        let odd = &file[name];
        let document = match &odd["certificate"] {
            Value::String(certificate) => json!({ name: certificate }),
            _ => json!({"keys": [odd["jwk"]]}),
        };
        let token = odd["token"].as_str().expect("a token");
        Self {
            header: ("authorization", format!("Bearer {token}")),
            ..Self::new(name, document.to_string(), &signed(&rs256()), answers, why)
        }
    }

    fn path(&self) -> String {
        format!("/{}", slug(self.name))
    }

    fn request(&self) -> Request {
        let (header, value) = &self.header;
        Request::get(self.path()).header(*header, value.as_str())
    }

    /// The differences from the expectation.
    fn check(&self, found: (u16, u16)) -> Option<String> {
        let (name, expected) = (self.name, (self.ours, self.native));
        let why = self.why.unwrap_or("no difference is known");
        (found != expected).then(|| {
            format!(
                "{name}: jwt-auth and jwt_authn answered {found:?}, expected {expected:?}: {why}"
            )
        })
    }
}

/// The responses to the requests, which are sent at once, because some wait for a set.
fn statuses(envoy: &Envoy, cases: &[Case]) -> Vec<u16> {
    let send = |case: &Case| envoy.client().start(case.request());
    let pending: Vec<Pending> = cases.iter().map(send).collect();
    pending.into_iter().map(|it| it.response().status).collect()
}

fn rs256() -> Key {
    Key::new(Algorithm::RS256, 1)
}

fn es256() -> Key {
    Key::new(Algorithm::ES256, 1)
}

/// A set of these entries.
fn set(entries: impl IntoIterator<Item = Value>) -> String {
    let entries: Vec<Value> = entries.into_iter().collect();
    json!({"keys": entries}).to_string()
}

/// The JWK of a key with other members.
fn jwk(key: &Key, members: Value) -> Value {
    let mut jwk = key.jwk();
    for (name, value) in members.as_object().expect("members") {
        jwk[name] = value.clone();
    }
    jwk
}

/// The JWK of a key without some members.
fn jwk_without(key: &Key, names: &[&str]) -> Value {
    let mut jwk = key.jwk();
    let members = jwk.as_object_mut().expect("an object");
    members.retain(|name, _| !names.contains(&name.as_str()));
    jwk
}

fn cases() -> Vec<Case> {
    let groups = [
        providers::cases,
        sets::cases,
        members::cases,
        material::cases,
    ];
    groups.into_iter().flat_map(|group| group()).collect()
}

fn server(cases: &[Case]) -> Upstream {
    let documents: Vec<(String, Vec<u8>)> = cases
        .iter()
        .map(|case| (case.path(), case.document.clone()))
        .collect();
    Upstream::start(move |request| {
        let mut documents = documents.iter();
        let document = documents.find(|(path, _)| *path == request.target);
        document.map_or(Reply::new(404), |(_, document)| {
            Reply::new(200).body(document.clone())
        })
    })
}

fn start(builder: Builder, server: &Upstream) -> Envoy {
    let builder = builder.cluster(bootstrap::cluster("idp", server.address()));
    builder.concurrency(1).start()
}

fn ours(cases: &[Case], server: &Upstream) -> Envoy {
    let providers = cases.iter().map(|case| {
        let mut provider = case.provider.clone();
        let uri = format!("http://idp.example{}", case.path());
        provider["jwks"]["remote"] = json!({"cluster": "idp", "uri": uri, "timeout": "5s"});
        (slug(case.name), provider)
    });
    // The issuer selects the keys for a token. A rule for each would need a statistic for each reason.
    let (nameless, named): (Vec<_>, Vec<_>) = cases
        .iter()
        .partition(|case| case.provider["issuer"].is_null());
    let alone = nameless.iter().map(|case| {
        json!({
            "name": slug(case.name),
            "match": {"path": {"exact": case.path()}},
            "require": {"provider": slug(case.name)},
        })
    });
    let names: Vec<String> = named.iter().map(|case| slug(case.name)).collect();
    let others = json!({"name": "others", "require": {"any": names}});
    let rules: Vec<Value> = alone.chain([others]).collect();
    let filter = plugin(&json!({
        "name": "edge",
        "providers": providers.collect::<serde_json::Map<_, _>>(),
        "rules": rules,
    }));
    start(Envoy::builder().plugin(&filter), server)
}

fn native(cases: &[Case], server: &Upstream) -> Envoy {
    let providers = cases.iter().map(|case| {
        let mut provider = json!({
            "remote_jwks": {"http_uri": {
                "uri": format!("http://idp.example{}", case.path()),
                "cluster": "idp",
                "timeout": "5s",
            }},
        });
        for member in ["issuer", "audiences"] {
            if let Some(value) = case.provider.get(member).filter(|value| !value.is_null()) {
                provider[member] = value.clone();
            }
        }
        if case.header.0 != "authorization" {
            provider["from_headers"] = json!([{"name": case.header.0}]);
        }
        (slug(case.name), provider)
    });
    let rules = cases.iter().map(|case| {
        json!({"match": {"path": case.path()}, "requires": {"provider_name": slug(case.name)}})
    });
    let filter = json!({
        "name": "jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers.collect::<serde_json::Map<_, _>>(),
            "rules": rules.collect::<Vec<_>>(),
        },
    });
    start(Envoy::builder().native(filter), server)
}

/// Gives each set to both. Returns the reasons for their differences.
pub(super) fn compare() -> BTreeSet<&'static str> {
    let cases = cases();
    let names: BTreeSet<String> = cases.iter().map(|case| slug(case.name)).collect();
    assert_eq!(names.len(), cases.len(), "no two have one name");
    let server = server(&cases);
    let (ours, native) = (ours(&cases, &server), native(&cases, &server));
    let found = statuses(&ours, &cases)
        .into_iter()
        .zip(statuses(&native, &cases));
    let wrong: Vec<String> = cases
        .iter()
        .zip(found)
        .filter_map(|(case, found)| case.check(found))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    ours.assert_no_vm_failed();
    cases.iter().filter_map(|case| case.why).collect()
}
