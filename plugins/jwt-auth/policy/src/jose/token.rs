//! A token that is parsed, but not verified.

use std::rc::Rc;

use serde_json::Value;

use super::json::{JsonError, Object};
use super::{Algorithm, base64url, claims};

/// The longest token, in bytes.
///
/// Tokens with a hundred groups reach 8 to 12 KiB. Many servers accept no header line longer than 8 KiB; Envoy accepts
/// 60 KiB for all headers of a request.
pub const MAX_TOKEN: usize = 16 * 1024;

/// The longest header, in characters of base64url. Most have fewer than 150; with a certificate chain (`x5c`) a few
/// thousand.
pub const MAX_HEADER: usize = 8 * 1024;

/// A JWT in the compact serialisation of JWS (RFC 7515 §7.1), not verified.
///
/// The sender of the token controls its algorithm, key id and claims.
pub struct Token<'t> {
    compact: &'t str,
    signing_input: &'t str,
    header: Rc<Header>,
    payload: Vec<u8>,
    claims: Object,
    signature: Vec<u8>,
}

/// The JOSE header of a token: the members that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`. The key and the configuration must allow it.
    pub algorithm: Algorithm,
    /// `kid`: the id of the token's key.
    pub kid: Option<String>,
    /// `typ`, as written.
    pub typ: Option<String>,
}

/// The last header, in base64url and parsed. All tokens of an issuer have the same header while it signs with the same
/// key.
#[derive(Debug, Default)]
pub struct HeaderCache(Option<(Box<str>, Rc<Header>)>);

/// Longer headers, with a certificate chain, are not worth the memory.
const MAX_CACHED_HEADER: usize = 512;

impl HeaderCache {
    fn get(&self, encoded: &str) -> Option<Rc<Header>> {
        let (_, header) = self.0.as_ref().filter(|(own, _)| **own == *encoded)?;
        Some(Rc::clone(header))
    }

    fn insert(&mut self, encoded: &str, header: Header) -> Rc<Header> {
        let header = Rc::new(header);
        if encoded.len() <= MAX_CACHED_HEADER {
            self.0 = Some((encoded.into(), Rc::clone(&header)));
        }
        header
    }
}

/// The reason why bytes are not a token that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than [`MAX_TOKEN`].
    TooLong,
    /// Not three parts separated by dots, or an empty part.
    NotCompact,
    /// The header is longer than [`MAX_HEADER`].
    HeaderTooLong,
    /// A part is not base64url in its one spelling.
    NotBase64url,
    /// The header is not a strict JSON object.
    Header(JsonError),
    /// The payload is not a strict JSON object.
    Payload(JsonError),
    /// `alg` is absent or not an [`Algorithm`].
    Algorithm,
    /// A defined member of the header has a wrong type.
    HeaderMember,
    /// The header has `crit`, `b64` or `zip`.
    Extension,
    /// The header contains a key (`jwk`) or `salt`.
    EmbeddedKey,
    /// A registered claim has a wrong type.
    Claim,
}

impl Malformed {
    /// A short name, for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotCompact => "not_compact",
            Self::HeaderTooLong => "header_too_long",
            Self::NotBase64url => "not_base64url",
            Self::Header(JsonError::DuplicateMember) => "header_duplicate",
            Self::Header(_) => "header_not_json",
            Self::Payload(JsonError::DuplicateMember) => "payload_duplicate",
            Self::Payload(_) => "payload_not_json",
            Self::Algorithm => "algorithm",
            Self::HeaderMember => "header_member",
            Self::Extension => "extension",
            Self::EmbeddedKey => "embedded_key",
            Self::Claim => "claim_type",
        }
    }
}

impl<'t> Token<'t> {
    /// Parses a token strictly; the module's documentation lists what is refused.
    pub fn parse(compact: &'t [u8]) -> Result<Self, Malformed> {
        Self::parse_cached(&mut HeaderCache::default(), compact)
    }

    /// The same, for one of many tokens: a header equal to the cached one is not parsed again.
    pub fn parse_cached(last: &mut HeaderCache, compact: &'t [u8]) -> Result<Self, Malformed> {
        if compact.len() > MAX_TOKEN {
            return Err(Malformed::TooLong);
        }
        let compact = str::from_utf8(compact).map_err(|_| Malformed::NotBase64url)?;
        let (signing_input, signature) = compact.rsplit_once('.').ok_or(Malformed::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Malformed::NotCompact)?;
        if payload.contains('.') || [header, payload, signature].contains(&"") {
            return Err(Malformed::NotCompact);
        }
        if header.len() > MAX_HEADER {
            return Err(Malformed::HeaderTooLong);
        }
        let decode = |part: &str| base64url::decode(part).ok_or(Malformed::NotBase64url);
        let known = last.get(header);
        let unknown = match known {
            Some(_) => Vec::new(),
            None => decode(header)?,
        };
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let header = match known {
            Some(known) => known,
            None => {
                let object = Object::parse(&unknown).map_err(Malformed::Header)?;
                last.insert(header, Header::read(&object)?)
            }
        };
        let claims = Object::parse(&payload).map_err(Malformed::Payload)?;
        if !claims::have_right_types(&claims, header.algorithm) {
            return Err(Malformed::Claim);
        }
        Ok(Self {
            compact,
            signing_input,
            header,
            payload,
            claims,
            signature,
        })
    }

    /// The whole token.
    pub fn compact(&self) -> &'t str {
        self.compact
    }

    /// The signed text: header and payload, as received.
    pub fn signing_input(&self) -> &'t [u8] {
        self.signing_input.as_bytes()
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload as JSON text.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The claims. Registered ones have the types of RFC 7519 §4.1, if present.
    pub fn claims(&self) -> &Object {
        &self.claims
    }

    /// The payload, as JSON text and as claims.
    pub fn into_payload(self) -> (Vec<u8>, Object) {
        (self.payload, self.claims)
    }
}

impl Header {
    fn read(header: &Object) -> Result<Self, Malformed> {
        if ["crit", "b64", "zip"]
            .iter()
            .any(|name| header.get(name).is_some())
        {
            return Err(Malformed::Extension);
        }
        if ["jwk", "salt"]
            .iter()
            .any(|name| header.get(name).is_some())
        {
            return Err(Malformed::EmbeddedKey);
        }
        let text = |name| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Malformed::HeaderMember),
        };
        for name in ["cty", "jku", "x5u", "x5t", "x5t#S256"] {
            text(name)?;
        }
        if header
            .get("x5c")
            .is_some_and(|chain| !is_array_of_strings(chain))
        {
            return Err(Malformed::HeaderMember);
        }
        let algorithm = text("alg")?.ok_or(Malformed::Algorithm)?;
        Ok(Self {
            algorithm: algorithm.parse().map_err(|_| Malformed::Algorithm)?,
            kid: text("kid")?.cloned(),
            typ: text("typ")?.cloned(),
        })
    }
}

/// Whether a value is an array of strings.
pub(super) fn is_array_of_strings(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}
