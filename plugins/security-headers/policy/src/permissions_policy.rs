//! `Permissions-Policy`: browser features that a page and its frames may use.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use super::origin::Origin;

/// Browser features, each with the origins that may use it: `[]` for none, `"self"`, origins, or `["*"]` for all.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionsPolicy(BTreeMap<Feature, Allowlist>);

impl PermissionsPolicy {
    /// The value of the header; `None` if no feature is listed.
    pub(super) fn value(&self) -> Option<Bytes> {
        let features: Vec<String> = self
            .0
            .iter()
            .map(|(Feature(feature), allowlist)| format!("{feature}={allowlist}"))
            .collect();
        (!features.is_empty()).then(|| features.join(", ").into())
    }
}

/// The name of a feature. Any well-formed name is valid, because browsers add and remove features.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
struct Feature(String);

impl TryFrom<String> for Feature {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        match valid {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected the name of a feature such as \"camera\": a-z 0-9 -, \
                 starting with a letter"
            )),
        }
    }
}

/// The origins that may use a feature: `[]` for none, `self`, origins, or `["*"]` for all.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Vec<Member>", inline)
)]
#[serde(try_from = "Vec<Member>")]
struct Allowlist(Vec<Member>);

impl TryFrom<Vec<Member>> for Allowlist {
    type Error = &'static str;

    fn try_from(members: Vec<Member>) -> Result<Self, Self::Error> {
        match members.len() > 1 && members.contains(&Member::Everybody) {
            true => Err("found \"*\" and others; expected \"*\" alone: it includes all origins"),
            false => Ok(Self(members)),
        }
    }
}

impl fmt::Display for Allowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Member::Everybody] = self.0.as_slice() {
            return f.write_str("*");
        }
        f.write_str("(")?;
        for (i, member) in self.0.iter().enumerate() {
            write!(f, "{}{member}", if i > 0 { " " } else { "" })?;
        }
        f.write_str(")")
    }
}

/// `self`, `*` or an origin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
enum Member {
    Everybody,
    ThisOrigin,
    Origin(Origin),
}

impl TryFrom<String> for Member {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "*" => Ok(Self::Everybody),
            "self" => Ok(Self::ThisOrigin),
            "src" | "'self'" | "'src'" | "none" | "'none'" => Err(format!(
                "found {text:?}; expected \"self\", \"*\" or an origin; an empty list allows none"
            )),
            _ => Origin::try_from(text).map(Self::Origin),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("*"),
            Self::ThisOrigin => f.write_str("self"),
            Self::Origin(origin) => write!(f, "\"{origin}\""),
        }
    }
}
