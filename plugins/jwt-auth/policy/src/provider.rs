//! Whoever issues tokens, and what is expected of them.

use serde::Deserialize;

use super::claim_headers::{ClaimHeader, ClaimHeaders, two_spellings};
use super::issuer::Issuer;
use super::keys::{Jwks, Keys};
use super::place::Place;
use super::scope::at_least_one;
use super::validity::TimeSettings;
use crate::jose::Algorithm;
use crate::remote::between;
use portcullis_core::config::{Duration, Text, at_member};

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
    /// None: any.
    audiences: Option<Vec<Text>>,
    /// Those that a token may be signed with; never a symmetric one with keys that are fetched.
    pub(super) algorithms: Vec<Algorithm>,
    types: Vec<TokenType>,
    pub(super) keys: Keys,
    /// What `use` may say of a key.
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

    /// Whether tokens of this type are accepted. One that does not say is a `JWT`.
    pub(super) fn accepts_type(&self, typ: Option<&str>) -> bool {
        let typ = TokenType::from(typ.unwrap_or("JWT"));
        self.types.contains(&typ)
    }

    /// Whether a request with a token of this provider is changed on its way.
    pub(super) fn changes_requests(&self) -> bool {
        !self.forward || self.headers().next().is_some()
    }

    /// The headers that only this provider's tokens may set.
    pub(super) fn headers(&self) -> impl Iterator<Item = &ClaimHeader> {
        self.claim_headers.names().chain(&self.payload_header)
    }
}

/// A media type as in `typ`: letter case and `application/` in front do not count (RFC 7515, section
/// 4.1.9).
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
    /// The claim `iss` of its tokens, compared byte by byte. `{tenantid}` in it stands for the claim `tid`
    /// (Entra). `null`: whatever it is, if it is there at all (SPIFFE); then no rule names the provider
    /// beside others.
    #[serde(deserialize_with = "Issuer::deserialize")]
    issuer: Issuer,
    /// The claim `aud` names at least one of these. Without it, any token of the issuer is accepted,
    /// also one for another service.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    audiences: Option<Vec<Text>>,
    /// What tokens may be signed with. Default: those of RS256, RS384, RS512, ES256 and ES384 that the
    /// keys allow. The others have to be named: for RSA-PSS and EdDSA, each signature takes the worker
    /// milliseconds; with HMAC, the key can also sign. An inline key that is for RSA-PSS or EdDSA only
    /// names it, too.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    algorithms: Option<Vec<Algorithm>>,
    /// What the header `typ` may be. A token without it is a `JWT`.
    #[serde(default = "types", deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    types: Vec<TokenType>,
    /// The keys.
    jwks: Jwks,
    /// Where a token is looked for. Default: the `Authorization` header with the scheme `Bearer`.
    #[serde(default, deserialize_with = "some")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    from: Option<Vec<Place>>,
    /// How far clocks may differ, at most `10m`.
    #[serde(default = "clock_skew", deserialize_with = "between::<_, 0, 600_000>")]
    clock_skew: Duration,
    /// Whether a token must have `exp`.
    #[serde(default = "yes")]
    require_expiration: bool,
    /// How long a token may live, from `iat` to `exp`: from `1s` to `3650d`.
    #[serde(default, deserialize_with = "lifetime")]
    max_lifetime: Option<Duration>,
    /// Whether the upstream gets the token, too.
    #[serde(default)]
    forward: bool,
    /// A header that gets the payload, as it stands in the token (base64url).
    forward_payload_header: Option<ClaimHeader>,
    /// Headers that get a claim each: `{"x-user": "sub"}`.
    #[serde(default)]
    claims_to_headers: ClaimHeaders,
}

fn types() -> Vec<TokenType> {
    vec!["JWT".into(), "at+jwt".into()]
}

fn clock_skew() -> Duration {
    Duration::from_secs(60)
}

fn lifetime<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    between::<_, 1_000, 315_360_000_000>(deserializer).map(Some)
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
                    "found one place twice; expected each once",
                ));
            }
        }
        let payload_header = fields.forward_payload_header;
        if let Some(header) = &payload_header {
            let mut names = fields.claims_to_headers.names();
            match names.find(|name| name.is_spelled(header.as_str())) {
                Some(name) if name == header => {
                    let message = format!(
                        "found {:?}, which is in \"claims_to_headers\", too; expected each header once",
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
                clock_skew: fields.clock_skew.as_secs(),
                require_expiration: fields.require_expiration,
                max_lifetime: fields.max_lifetime.map(Duration::as_secs),
            },
            forward: fields.forward,
            payload_header,
            claim_headers: fields.claims_to_headers,
        })
    }
}

/// The algorithms that tokens may be signed with. Symmetric ones have to be named: who can verify then
/// can sign, and that must not happen by default. So have slow ones, here or by an inline key that is
/// for nothing else: with them, anybody can make the worker spend milliseconds on a request.
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
                "found none, and secret keys only; expected some of: {}",
                list(&served)
            )),
        };
    };
    match (named.iter().find(|name| !served.contains(name)), keys) {
        (None, _) => Ok(named),
        (Some(name), Keys::Remote(_)) => Err(format!(
            "found {name}, which is symmetric; with keys that are fetched, expected any of: {}",
            list(&served)
        )),
        (Some(name), Keys::Inline(_)) => Err(format!(
            "found {name}, which no key is for; expected any of: {}",
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
