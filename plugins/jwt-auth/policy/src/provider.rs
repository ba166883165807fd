//! The issuers of tokens, and the requirements on their tokens.

use serde::Deserialize;

use super::claim_headers::{ClaimHeader, ClaimHeaders, two_spellings};
use super::issuer::Issuer;
use super::keys::{Jwks, Keys};
use super::place::Place;
use super::scope::at_least_one;
use super::validity::TimeSettings;
use crate::jose::Algorithm;
use portcullis_core::config::{BoundedDuration, Text, at_member};

/// An issuer of tokens.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Provider {
    pub(super) issuer: Issuer,
    /// `None`: any.
    audiences: Option<Vec<Text>>,
    /// The allowed algorithms; never a symmetric one with remote keys.
    pub(super) algorithms: Vec<Algorithm>,
    types: Vec<TokenType>,
    pub(super) keys: Keys,
    /// The accepted values of a key's `use`.
    pub(super) uses: Vec<String>,
    pub(super) from: Vec<Place>,
    pub(super) times: TimeSettings,
    pub(super) forward: bool,
    pub(super) payload_header: Option<ClaimHeader>,
    pub(super) claim_headers: ClaimHeaders,
}

impl Provider {
    /// Whether a token is for one of the audiences.
    pub(super) fn accepts_audience(&self, aud: Option<&serde_json::Value>) -> bool {
        use serde_json::Value;

        let Some(audiences) = &self.audiences else {
            return true;
        };
        let is_ours = |value: &Value| audiences.iter().any(|own| value == own.as_str());
        match aud {
            Some(Value::Array(values)) => values.iter().any(is_ours),
            Some(value) => is_ours(value),
            None => false,
        }
    }

    /// Whether tokens of this type are accepted. A token without `typ` is a `JWT`.
    pub(super) fn accepts_type(&self, typ: Option<&str>) -> bool {
        let typ = TokenType::from(typ.unwrap_or("JWT"));
        self.types.contains(&typ)
    }

    /// Whether the policy changes a request with a token of this provider.
    pub(super) fn changes_requests(&self) -> bool {
        !self.forward || self.headers().next().is_some()
    }

    /// The headers that only this provider's tokens may set.
    pub(super) fn headers(&self) -> impl Iterator<Item = &ClaimHeader> {
        self.claim_headers.names().chain(&self.payload_header)
    }
}

/// A media type as in `typ`: letter case and a leading `application/` do not matter (RFC 7515, section 4.1.9).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(from = "String")]
struct TokenType(String);

impl From<String> for TokenType {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&str> for TokenType {
    fn from(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        Self(match text.strip_prefix("application/") {
            Some(subtype) if !subtype.contains('/') => subtype.to_owned(),
            _ => text,
        })
    }
}

/// An issuer of tokens.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The claim `iss` of its tokens, compared byte by byte. `{tenantid}` in it stands for the claim `tid` (Entra).
    /// `null`: any `iss`, or none (SPIFFE); such a provider stands alone in `require` (not in `any` with others).
    #[serde(deserialize_with = "Issuer::deserialize")]
    issuer: Issuer,
    /// The claim `aud` must contain one of these, compared byte by byte. Without this field, any token of the issuer
    /// is accepted, also one for another service.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    audiences: Option<Vec<Text>>,
    /// Allowed signature algorithms. Default: those of RS256, RS384, RS512, ES256 and ES384 that the keys allow. The
    /// others must be named here: RSA-PSS and EdDSA take the worker milliseconds per signature, and an HMAC key can
    /// also sign. An inline key that serves only RSA-PSS or only EdDSA also allows that algorithm.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    algorithms: Option<Vec<Algorithm>>,
    /// Accepted values of the header `typ`, without regard to letter case and a leading `application/`. A token
    /// without `typ` is a `JWT`. Default: `JWT` and `at+jwt`.
    #[serde(default = "types", deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    types: Vec<TokenType>,
    /// The keys.
    jwks: Jwks,
    /// Places to look for a token. Default: the `Authorization` header with the scheme `Bearer`.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    from: Option<Vec<Place>>,
    /// Tolerated difference between clocks, at most `10m`. Default: `60s`.
    #[serde(default = "clock_skew")]
    clock_skew: BoundedDuration<0, 600_000>,
    /// Whether a token must have `exp`. Default: `true`.
    #[serde(default = "yes")]
    require_expiration: bool,
    /// Longest lifetime of a token, from `iat` to `exp`: from `1s` to `3650d`. Without `iat`, the remaining lifetime
    /// counts.
    #[serde(default, deserialize_with = "lifetime")]
    max_lifetime: Option<Lifetime>,
    /// Whether the upstream also gets the token.
    #[serde(default)]
    forward: bool,
    /// Request header for the payload, in base64url without padding, as in the token.
    forward_payload_header: Option<ClaimHeader>,
    /// Request headers, and the paths of the claims that fill them: `{"x-user": "sub"}`.
    #[serde(default)]
    claims_to_headers: ClaimHeaders,
}

fn types() -> Vec<TokenType> {
    vec!["JWT".into(), "at+jwt".into()]
}

fn clock_skew() -> BoundedDuration<0, 600_000> {
    const { BoundedDuration::millis(60_000) }
}

type Lifetime = BoundedDuration<1_000, 315_360_000_000>;

/// Reads a lifetime; `null` is not one.
fn lifetime<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Lifetime>, D::Error> {
    Lifetime::deserialize(deserializer).map(Some)
}

fn yes() -> bool {
    true
}

fn some<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    at_least_one(deserializer).map(Some)
}

impl TryFrom<Fields> for Provider {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Jwks { keys, uses } = fields.jwks;
        let from = match fields.from {
            Some(places) => places,
            None => Place::bearer().into_iter().collect(),
        };
        let mut places = from.iter();
        while let Some(place) = places.next() {
            if places.as_slice().contains(place) {
                return Err(at_member(
                    "from",
                    "found one place twice; expected each place once",
                ));
            }
        }
        let payload_header = fields.forward_payload_header;
        if let Some(header) = &payload_header {
            let mut names = fields.claims_to_headers.names();
            match names.find(|name| name.is_spelled(header.as_str())) {
                Some(name) if name == header => {
                    let message = format!(
                        "found {:?}, which is also in \"claims_to_headers\"; expected each header once",
                        header.as_str()
                    );
                    return Err(at_member("forward_payload_header", message));
                }
                Some(name) => return Err(two_spellings(name, header)),
                None => {}
            }
        }
        Ok(Self {
            algorithms: algorithms(fields.algorithms, &keys)
                .map_err(|message| at_member("algorithms", message))?,
            issuer: fields.issuer,
            audiences: fields.audiences,
            types: fields.types,
            keys,
            uses,
            from,
            times: TimeSettings {
                clock_skew: fields.clock_skew.get().as_secs(),
                require_expiration: fields.require_expiration,
                max_lifetime: fields.max_lifetime.map(|longest| longest.get().as_secs()),
            },
            forward: fields.forward,
            payload_header,
            claim_headers: fields.claims_to_headers,
        })
    }
}

/// The allowed signature algorithms. Symmetric ones must be named: anybody who can verify with such a key can also
/// sign, which must not happen by default. Slow ones must be named too, here or by an inline key that serves nothing
/// else: with them, any client can make the worker spend milliseconds on a request.
fn algorithms(named: Option<Vec<Algorithm>>, keys: &Keys) -> Result<Vec<Algorithm>, String> {
    let served = match keys {
        Keys::Inline(Some(set)) => set.algorithms(),
        Keys::Inline(None) => Algorithm::ALL.to_vec(),
        Keys::Remote(_) => asymmetric(&Algorithm::ALL),
    };
    let Some(named) = named else {
        let mut usual = asymmetric(&served);
        let is_named = |slow: &Algorithm| match keys {
            Keys::Inline(Some(set)) => set.is_only_for(*slow),
            Keys::Inline(None) | Keys::Remote(_) => false,
        };
        usual.retain(|algorithm| !algorithm.is_slow() || is_named(algorithm));
        return match usual.is_empty() {
            false => Ok(usual),
            true => Err(format!(
                "found none, with secret keys only; expected some of: {}",
                list(&served)
            )),
        };
    };
    match (named.iter().find(|name| !served.contains(name)), keys) {
        (None, _) => Ok(named),
        (Some(name), Keys::Remote(_)) => Err(format!(
            "found {name}, which is symmetric; expected, with remote keys, any of: {}",
            list(&served)
        )),
        (Some(name), Keys::Inline(_)) => Err(format!(
            "found {name}, for which there is no key; expected any of: {}",
            list(&served)
        )),
    }
}

fn asymmetric(algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let algorithms = algorithms.iter().copied();
    algorithms
        .filter(|algorithm| !algorithm.is_symmetric())
        .collect()
}

fn list(algorithms: &[Algorithm]) -> String {
    let names: Vec<&str> = algorithms
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    names.join(", ")
}
