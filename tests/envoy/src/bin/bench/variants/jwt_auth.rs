//! jwt-auth, next to Envoy's own `jwt_authn` with the same keys and settings.
//!
//! Without a cache, each request costs a verification, as for new tokens. Envoy's own code verifies RS256 and ES256 in both
//! filters. jwt-auth verifies PS256, EdDSA and HS256 in WebAssembly, as it would verify all algorithms if Envoy did not
//! verify signatures for modules. In the flood, every token has a different, invalid signature.

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use portcullis_scenarios::tokens::{Algorithm, Issuer, encode};
use serde_json::{Value, json};

use super::{Filter, Partner, Variant};

const ISSUER: &str = "https://idp.example";
/// Longer than any measurement, in seconds.
const LIFETIME: u64 = 86_400;
/// As many as requests.
const NO_TWO_ALIKE: usize = usize::MAX;

pub(super) fn variants() -> Vec<Variant> {
    use Algorithm::{ES256, EdDSA, HS256, PS256, RS256};
    vec![
        native("jwt_native", "native jwt_authn, RS256", RS256, false),
        ours("jwt_rs256", "jwt-auth, RS256", RS256, 0, by_envoy)
            .compared_with(const { &[Partner::at_most(1.0, &["jwt_native"])] }),
        native("jwt_native_es256", "native jwt_authn, ES256", ES256, false),
        ours("jwt_es256", "jwt-auth, ES256", ES256, 0, by_envoy)
            .compared_with(const { &[Partner::of(&["jwt_native_es256"])] }),
        native(
            "jwt_native_cached",
            "native jwt_authn, RS256, cached",
            RS256,
            true,
        ),
        ours(
            "jwt_cached",
            "jwt-auth, RS256, cached",
            RS256,
            1_000,
            by_envoy,
        )
        .compared_with(const { &[Partner::at_most(1.5, &["jwt_native_cached"])] }),
        native(
            "jwt_native_flood",
            "native jwt_authn, bad signatures",
            RS256,
            true,
        )
        .flooded(),
        ours(
            "jwt_flood",
            "jwt-auth, bad signatures",
            RS256,
            1_000,
            refuses,
        )
        .flooded()
        .compared_with(const { &[Partner::of(&["jwt_native_flood"])] }),
        without_filter(RS256),
        without_filter(ES256),
        without_filter(PS256),
        without_filter(EdDSA),
        without_filter(HS256),
        ours(
            "jwt_ps256",
            "jwt-auth, PS256 in WebAssembly",
            PS256,
            0,
            by_itself,
        ),
        ours(
            "jwt_eddsa",
            "jwt-auth, EdDSA in WebAssembly",
            EdDSA,
            0,
            by_itself,
        ),
        ours(
            "jwt_hs256",
            "jwt-auth, HS256 in WebAssembly",
            HS256,
            0,
            by_itself,
        ),
    ]
}

fn ours(id: &'static str, name: &str, algorithm: Algorithm, cached: u32, works: Works) -> Variant {
    let filter = Filter::plugin("jwt_auth", configuration(algorithm, cached));
    let token = token(algorithm);
    Variant::new(id, name, filter, works)
        .with_credentials(move |_| bearer(&token))
        .beyond(reference(algorithm))
}

/// Envoy reads a token of hundreds of bytes, whatever filters do with it.
fn without_filter(algorithm: Algorithm) -> Variant {
    let token = token(algorithm);
    let name = format!("no filter, with a token of {}", algorithm.name());
    Variant::new(reference(algorithm), &name, Filter::Nothing, |_, _| true)
        .with_credentials(move |_| bearer(&token))
}

/// The variant without filters whose requests have such a token.
pub(super) fn reference(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "none_es256",
        Algorithm::PS256 => "none_ps256",
        Algorithm::EdDSA => "none_eddsa",
        Algorithm::HS256 => "none_hs256",
        _ => "none_rs256",
    }
}

/// Every request needs a token.
pub(super) fn configuration(algorithm: Algorithm, cached: u32) -> Value {
    json!({
        "providers": {"corp": {
            "issuer": ISSUER,
            "audiences": ["shop"],
            "algorithms": [algorithm.name()],
            "jwks": {"inline": issuer(algorithm).jwks()},
        }},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
        "cache": {"tokens": cached},
    })
}

fn native(id: &'static str, name: &str, algorithm: Algorithm, is_cached: bool) -> Variant {
    let filter = Filter::Native(vec![jwt_authn(algorithm, is_cached)]);
    let token = token(algorithm);
    let works: Works = |envoy, response| {
        let outcome = if response.status == 200 {
            "allowed"
        } else {
            "denied"
        };
        envoy.counter(&format!("http.ingress.jwt_authn.{outcome}")) == 1
    };
    Variant::new(id, name, filter, works)
        .with_credentials(move |_| bearer(&token))
        .beyond(reference(algorithm))
}

pub(super) fn jwt_authn(algorithm: Algorithm, is_cached: bool) -> Value {
    let cache = is_cached.then(|| json!({"jwt_cache_size": 1_000}));
    let provider = json!({
        "issuer": ISSUER,
        "audiences": ["shop"],
        "require_expiration": true,
        "local_jwks": {"inline_string": issuer(algorithm).jwks().to_string()},
        "jwt_cache_config": cache,
    });
    json!({
        "name": "jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"corp": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "corp"}}],
        },
    })
}

type Works = fn(&Envoy, &Response) -> bool;

pub(super) fn by_envoy(envoy: &Envoy, _: &Response) -> bool {
    verifications(envoy, "host") == 1
}

fn by_itself(envoy: &Envoy, _: &Response) -> bool {
    verifications(envoy, "rust") == 1
}

fn refuses(envoy: &Envoy, response: &Response) -> bool {
    response.status == 401 && verifications(envoy, "failed") == 1
}

fn verifications(envoy: &Envoy, path: &str) -> u64 {
    let policy = "portcullis.jwt_auth.policy=.=default";
    envoy.counter(&format!("{policy};.;path=.={path};.;verifications"))
}

impl Variant {
    /// The same with invalid signatures.
    fn flooded(self) -> Self {
        let token = token(Algorithm::RS256);
        let input = token.rsplit_once('.').map(|(input, _)| input.to_owned());
        let input = input.unwrap_or_default();
        let forged = move |key: usize| {
            let mut signature = [0x5a; 256];
            signature[..8].copy_from_slice(&(key as u64 >> 1).to_be_bytes());
            bearer(&format!("{input}.{}", encode(signature)))
        };
        self.with_keys(NO_TWO_ALIKE)
            .with_credentials(forged)
            .answered_with(401)
    }
}

fn issuer(algorithm: Algorithm) -> Issuer {
    Issuer::new(ISSUER, algorithm)
}

pub(super) fn token(algorithm: Algorithm) -> String {
    let now = now();
    issuer(algorithm)
        .token(now)
        .claim("exp", now + LIFETIME)
        .sign()
}

/// The wall clock, in seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
