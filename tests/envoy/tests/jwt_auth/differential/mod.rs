//! The same requests for jwt-auth and for Envoy's own `jwt_authn`, with the same keys and settings.
//!
//! They agree about each, but for those that say why not. What is left at its default is left so in both:
//! a default that is stricter is a difference, too.

mod claims;
mod headers;
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

/// What jwt-auth takes more seriously than `jwt_authn`, or otherwise, and why: the list in the
/// plugin's README.
mod difference {
    pub(super) const CRITICAL: &str = "\
        `crit`: what is critical and not understood makes a token invalid, and the list must not \
        be empty (RFC 7515 §4.1.11).";
    pub(super) const UNENCODED: &str = "\
        `b64`, `zip`: with them the payload is something else than it looks (RFC 7797 §7, RFC \
        7516 §4.1.3).";
    pub(super) const EMBEDDED_KEY: &str = "\
        `jwk`: neither uses a key that comes with the token, but whoever sends one means harm \
        (RFC 8725 §3.10, CVE-2018-0114).";
    pub(super) const KEY_ID: &str = "\
        An empty `kid` names a key that is not there, and is not as good as none (RFC 7515 \
        §4.1.4).";
    pub(super) const TYPE: &str = "\
        `typ`: a token of another kind, such as a logout token, is not taken for an access token \
        (RFC 8725 §3.11).";
    pub(super) const HEADER_TYPES: &str =
        "Members of the header that have another type than they must have (RFC 7515 §4.1).";
    pub(super) const NO_EXPIRATION: &str = "\
        A token without `exp` is good for ever (RFC 9068 §2.2); `require_expiration: false` \
        accepts it.";
    pub(super) const EXPIRED_IN_1970: &str =
        "`exp: 0` is long ago, and not absent (RFC 7519 §4.1.4).";
    pub(super) const FUTURE: &str = "\
        `iat` in the future: a clock is wrong, and `exp` is not to be relied on (RFC 7519 §4.1.6 \
        leaves it open).";
    pub(super) const BASE64: &str = "\
        Padding, and bits that lead nowhere: a token has one spelling (RFC 7515 §2, RFC 4648 \
        §3.5).";
    pub(super) const COMPACT: &str =
        "Something in front of the three parts of a token (RFC 7515 §7.1).";
    pub(super) const PREFIX: &str = "Something in front of the scheme (RFC 6750 §2.1).";
    pub(super) const AUDIENCE: &str =
        "A token for another audience is an invalid token: 401, there 403 (RFC 6750 §3.1).";
    pub(super) const ONE_TOKEN: &str =
        "Two tokens, or what is none, are an invalid request: 400, there 401 (RFC 6750 §3.1).";
    pub(super) const NULL: &str =
        "A member or claim that is `null` is absent, with RS256, ES256 and their like times, too.";
    pub(super) const LARGE: &str = "Times beyond 2^63 are very late.";
    pub(super) const SALT: &str = "`salt`, which one library knows (jwt-simple) and no standard.";
    pub(super) const NONCE: &str = "A `nonce` that is no string (OpenID Connect Core §2).";
    pub(super) const DEPTH: &str = "JSON nested deeper than 32.";
    pub(super) const AUDIENCE_FORM: &str = "\
        An audience with `https://` in front or a slash behind is another one (RFC 7519 §4.1.3, RFC \
        3986 §6.2.1).";
    pub(super) const CASE: &str =
        "The scheme may be written in any case: `bearer` (RFC 9110 §11.1).";
}

/// A request, and what the two make of it.
struct Case {
    name: &'static str,
    request: Request,
    ours: u16,
    native: u16,
    /// Why they differ; nothing, if they do not.
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
        Self {
            name,
            request,
            ours,
            native,
            why: Some(why),
        }
    }

    /// Sends it to both. Returns what is not as it should be.
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

/// Both take it.
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

/// Only jwt-auth takes it.
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

    /// A token that is good.
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
    start(Envoy::builder().wasm(&filter))
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

/// What the upstream gets is what the client gets to see.
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
    let (mut names, mut reasons) = (BTreeSet::new(), BTreeSet::new());
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
