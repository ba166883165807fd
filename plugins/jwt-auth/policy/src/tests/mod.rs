//! Tests of the policy, with a host for which a signature is good if it says so.

mod ambiguous;
mod cache;
mod claim_headers;
mod conditions;
mod configuration;
mod identity_providers;
mod model;
mod places;
mod remotes;
mod replies;
mod reroute;
mod rules;
mod shadow;
mod tokens;

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::jose::{Hash, HostSignatures};
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::Subject;
use portcullis_core::reply::Reply;
use portcullis_core::time::{Nanos, UnixSeconds};
use portcullis_table::Seed;

/// 2023-11-14 22:13:20 UTC, as a `NumericDate`.
const START: u64 = 1_700_000_000;
const IDP: &str = "https://idp.example";

/// A host for which a signature is good if it begins with `good`.
#[derive(Default)]
struct Host {
    asked: Cell<u32>,
}

impl HostSignatures for Host {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], signature: &[u8]) -> Option<bool> {
        self.asked.set(self.asked.get() + 1);
        Some(signature.starts_with(b"good"))
    }
}

/// The policy in one worker.
struct World {
    policy: JwtAuth,
    state: State,
    host: Host,
    now: Now,
    wait_status: WaitStatus,
}

/// The result of a request.
struct Outcome {
    decision: Decision,
    headers: HeaderMap,
    reply: Option<Reply>,
}

impl World {
    fn new(config: Value) -> Self {
        let policy = policy(config);
        Self {
            state: policy.state(Seed::new([7; 16])),
            policy,
            host: Host::default(),
            now: Now {
                wall: UnixSeconds::new(START),
                steady: Nanos::from_secs(START),
            },
            wait_status: WaitStatus::Waited(Nanos::ZERO),
        }
    }

    /// Advances both clocks by this many seconds.
    fn advance(&mut self, seconds: u64) {
        self.now.wall = self.now.wall.plus(seconds);
        self.now.steady += Nanos::from_secs(seconds);
    }

    /// Sends a GET request for `/`, unless the headers name another method or path.
    fn send(&mut self, headers: &[(&str, &str)]) -> Outcome {
        let usual = [
            (":method", "GET"),
            (":path", "/"),
            (":authority", "shop.example"),
        ];
        let missing = usual
            .iter()
            .filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        let mut headers = header_map(missing.chain(headers));
        let subject = Subject::new(&headers, b"");
        let decision = self.policy.decide(
            &subject,
            &mut self.state,
            self.now,
            self.wait_status,
            &self.host,
        );
        let reply = self.policy.reply(&decision);
        if reply.is_none() && !matches!(decision.verdict(), Verdict::Wait { .. }) {
            self.policy.apply(&decision, &mut headers);
        }
        Outcome {
            decision,
            headers,
            reply,
        }
    }

    /// Sends a request with a token.
    fn bearer(&mut self, token: &str) -> Outcome {
        self.send(&[("authorization", &format!("Bearer {token}"))])
    }

    fn verdict(&mut self, headers: &[(&str, &str)]) -> Verdict {
        self.send(headers).decision.verdict()
    }

    /// The verdict on a request with a token.
    fn judge(&mut self, token: &str) -> Verdict {
        self.bearer(token).decision.verdict()
    }

    /// The number of signatures that the host verified since the last call.
    fn signatures(&self) -> u32 {
        self.host.asked.take()
    }
}

impl Outcome {
    fn line(&self, name: &str) -> Option<String> {
        let lines: Vec<_> = self.headers.get_all(name).map(|line| text(line)).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }

    fn challenge(&self) -> Option<String> {
        let headers = &self.reply.as_ref()?.headers;
        let mut lines = headers
            .iter()
            .filter(|(name, _)| name == "www-authenticate");
        lines.next().map(|(_, value)| text(value))
    }

    fn status(&self) -> Option<u16> {
        self.reply.as_ref().map(|reply| reply.status)
    }
}

const VERIFIED: Verdict = Verdict::Admitted(AdmitReason::Verified);

fn refused(reason: Reason) -> Verdict {
    Verdict::Refused(reason)
}

fn policy(config: Value) -> JwtAuth {
    let text = config.to_string();
    let config = config::read(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    JwtAuth::new(config)
}

/// The errors of an invalid configuration.
fn errors(config: Value) -> String {
    let text = config.to_string();
    match config::read::<Config>(text.as_bytes()) {
        Ok(_) => panic!("{text}: accepted"),
        Err(errors) => errors.to_string(),
    }
}

/// A public RSA key (that of RFC 7515, appendix A.2).
fn key(kid: &str) -> Value {
    json!({
        "kty": "RSA", "kid": kid, "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1\
              Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa\
              SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4\
              LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    })
}

fn inline(kid: &str) -> Value {
    json!({"inline": {"keys": [key(kid)]}})
}

/// A provider `corp` with the key `a` and these settings, and one rule that requires its tokens.
fn one_provider(settings: Value) -> Value {
    json!({
        "name": "edge",
        "providers": {"corp": provider(IDP, settings)},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    })
}

/// A provider `corp` with a rule that has these settings.
fn one_rule(settings: Value) -> Value {
    let mut config = one_provider(json!({}));
    let rule = config["rules"][0].as_object_mut().unwrap();
    rule.extend(settings.as_object().unwrap().clone());
    config
}

fn provider(issuer: &str, settings: Value) -> Value {
    let mut provider = json!({"issuer": issuer, "jwks": inline("a")});
    provider
        .as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    provider
}

/// A token of `IDP` with the usual claims and these; `null` removes a claim.
fn token(claims: Value) -> String {
    let mut all = json!({"iss": IDP, "sub": "ada", "exp": START + 600});
    all.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    all.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    signed(&json!({"alg": "RS256", "kid": "a"}), &all, "good")
}

/// A token with this signature.
fn signed(header: &Value, claims: &Value, signature: &str) -> String {
    [
        header.to_string().as_str(),
        claims.to_string().as_str(),
        signature,
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part))
    .join(".")
}

/// The same token with a bad signature.
fn forged(claims: Value) -> String {
    let token = token(claims);
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode("bad"))
}

fn header_map<'a>(entries: impl Iterator<Item = &'a (&'a str, &'a str)>) -> HeaderMap {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    HeaderMap::new(
        entries
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
