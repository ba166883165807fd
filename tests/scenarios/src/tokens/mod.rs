//! Makes tokens, both like issuers and like attackers.
//!
//! ```
//! # use portcullis_scenarios::tokens::{Algorithm, Issuer, Token};
//! # use serde_json::json;
//! let mut issuer = Issuer::new("https://idp.example", Algorithm::RS256);
//! let now = 1_767_225_600;
//! let token = issuer.token(now).claim("sub", "ada").sign();
//! let jwks = issuer.jwks();
//!
//! // An attacker without the key.
//! let forged = issuer.token(now).header("alg", "none").signature(b"").sign();
//! // New keys, with a new `kid`.
//! issuer.rotate();
//! assert_ne!(issuer.jwks(), jwks);
//! ```
//!
//! The code that verifies tokens shares nothing with this module. Keys are fixed, so that failures can be reproduced;
//! they protect nothing.

mod key;
mod providers;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

pub use key::{Algorithm, KEYS, Key, hmac};
pub use providers::Provider;

/// The default lifetime of a token in seconds.
pub const LIFETIME: u64 = 600;

/// An identity provider: its name and its signing key.
#[derive(Clone, Debug)]
pub struct Issuer {
    name: String,
    key: Key,
}

impl Issuer {
    /// An issuer with the first key of an algorithm.
    pub fn new(name: &str, algorithm: Algorithm) -> Self {
        Self::with_key(name, Key::new(algorithm, 1))
    }

    /// An issuer with this key.
    pub fn with_key(name: &str, key: Key) -> Self {
        Self {
            name: name.to_owned(),
            key,
        }
    }

    /// The signing key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Replaces the key by the next one of its algorithm, with a different `kid`.
    pub fn rotate(&mut self) {
        self.key = self.key.next();
    }

    /// The JWK set that it publishes.
    pub fn jwks(&self) -> Value {
        jwks([&self.key])
    }

    /// A token that is valid from `now` on, in seconds since the Unix epoch. It has `iss`, `sub`, `aud` (`shop`),
    /// `iat` and `exp`, and `alg`, `kid` and `typ` in the header.
    pub fn token(&self, now: u64) -> Token {
        Token::new(&self.key)
            .header("typ", "JWT")
            .claim("iss", self.name.as_str())
            .claim("sub", "ada")
            .claim("aud", "shop")
            .claim("iat", now)
            .claim("exp", now + LIFETIME)
    }
}

/// A JWK set of these keys.
pub fn jwks<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Value {
    let keys: Vec<Value> = keys.into_iter().map(Key::jwk).collect();
    json!({"keys": keys})
}

/// Builds a token. Everything that is not changed explicitly is valid.
#[derive(Clone, Debug)]
pub struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_payload: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl Token {
    /// A token with the `alg` and `kid` of this key, without claims.
    pub fn new(key: &Key) -> Self {
        let token = Self {
            key: key.clone(),
            header: Map::new(),
            claims: Map::new(),
            raw_header: None,
            raw_payload: None,
            signature: None,
        };
        token
            .header("alg", key.algorithm().name())
            .header("kid", key.id())
    }

    /// Sets a member of the header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a member of the header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Replaces the header by these bytes, which need not be JSON.
    #[must_use]
    pub fn raw_header(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(bytes.into());
        self
    }

    /// Replaces the claims by these bytes, which need not be JSON.
    #[must_use]
    pub fn raw_payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(bytes.into());
        self
    }

    /// Adds members to the text of the header, such as `"alg":"none"`. They may be duplicates.
    #[must_use]
    pub fn more_header(self, members: &str) -> Self {
        let text = more(&self.header, members);
        self.raw_header(text)
    }

    /// Adds claims to the text of the payload. They may be duplicates.
    #[must_use]
    pub fn more_claims(self, members: &str) -> Self {
        let text = more(&self.claims, members);
        self.raw_payload(text)
    }

    /// Replaces the signature by these bytes.
    #[must_use]
    pub fn signature(mut self, bytes: &[u8]) -> Self {
        self.signature = Some(bytes.to_vec());
        self
    }

    /// Signs with another key without changing the header.
    #[must_use]
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// The signing input: header and payload as in the token.
    pub fn signing_input(&self) -> String {
        let text = |raw: &Option<Vec<u8>>, members: &Map<String, Value>| match raw {
            Some(bytes) => encode(bytes),
            None => encode(json!(members).to_string()),
        };
        let header = text(&self.raw_header, &self.header);
        let payload = text(&self.raw_payload, &self.claims);
        format!("{header}.{payload}")
    }

    /// The token in compact form.
    pub fn sign(&self) -> String {
        let input = self.signing_input();
        let signature = match &self.signature {
            Some(bytes) => bytes.clone(),
            None => self.key.sign(input.as_bytes()),
        };
        format!("{input}.{}", encode(signature))
    }
}

/// Encodes base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn more(members: &Map<String, Value>, others: &str) -> String {
    let mut text = json!(members).to_string();
    text.pop();
    if !members.is_empty() {
        text.push(',');
    }
    text + others + "}"
}
