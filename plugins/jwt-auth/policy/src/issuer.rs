//! The issuer of a provider's tokens.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::jose::Object;
use portcullis_core::config::Text;

/// The placeholder for a tenant in an issuer, as in Entra's discovery documents.
const TENANT: &str = "{tenantid}";

/// The claim that names the tenant.
const TENANT_CLAIM: &str = "tid";

/// The required value of the claim `iss`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Issuer {
    /// This value, byte by byte.
    Exactly(String),
    /// The text before and after the tenant, which the claim `tid` names.
    OfTenant(String, String),
    /// Any value, or none.
    Any,
}

impl Issuer {
    /// Whether only one value is accepted.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exactly(_))
    }

    /// Whether these claims belong to the issuer. It signs both claims, so they state the token's real tenant.
    pub(super) fn accepts(&self, claims: &Object) -> bool {
        let text = |name| claims.get(name).and_then(Value::as_str);
        match self {
            Self::Exactly(issuer) => text("iss") == Some(issuer),
            Self::OfTenant(before, after) => {
                let named = text("iss").and_then(|iss| {
                    let rest = iss.strip_prefix(before.as_str())?;
                    rest.strip_suffix(after.as_str())
                });
                named.is_some_and(is_tenant) && named == text(TENANT_CLAIM)
            }
            Self::Any => true,
        }
    }
}

/// Whether a text is like a GUID or a domain, which cannot change the meaning of the rest of the issuer.
fn is_tenant(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.bytes().all(is_part)
}

/// A string, or `null`. A field of this type needs `deserialize_with`; without it, a missing field counts as `null`.
impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<Text>::deserialize(deserializer)? {
            Some(text) => read(text.as_str()).map_err(serde::de::Error::custom),
            None => Ok(Self::Any),
        }
    }
}

fn read(text: &str) -> Result<Issuer, String> {
    let is_plain = |part: &str| !part.contains(['{', '}', '*']);
    if is_plain(text) {
        return Ok(Issuer::Exactly(text.to_owned()));
    }
    match text.split_once(TENANT) {
        Some((before, after)) if !before.is_empty() && is_plain(before) && is_plain(after) => {
            Ok(Issuer::OfTenant(before.to_owned(), after.to_owned()))
        }
        _ => Err(format!(
            "found {text:?}; expected the claim \"iss\" as it appears in tokens, without \"{{\", \"}}\" and \
             \"*\"; it may contain {TENANT:?} once, after other text, for the claim {TENANT_CLAIM:?}"
        )),
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Issuer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Issuer".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["string", "null"], "minLength": 1})
    }
}
