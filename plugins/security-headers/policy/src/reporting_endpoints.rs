//! `Reporting-Endpoints`: destinations of browser reports.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

/// Endpoints for browser reports: the name that `report-to` in a policy uses, and the https URL.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportingEndpoints(BTreeMap<EndpointName, EndpointUrl>);

impl ReportingEndpoints {
    /// The value of the header; `None` if there are no endpoints.
    pub(super) fn value(&self) -> Option<Bytes> {
        let endpoints: Vec<String> = self
            .0
            .iter()
            .map(|(EndpointName(name), EndpointUrl(url))| format!("{name}=\"{url}\""))
            .collect();
        (!endpoints.is_empty()).then(|| endpoints.join(", ").into())
    }
}

/// The name of an endpoint: a key of a structured-field dictionary (RFC 9651).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
struct EndpointName(String);

impl TryFrom<String> for EndpointName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let starts_well =
            text.starts_with(|first: char| first.is_ascii_lowercase() || first == '*');
        let goes_on_well = text.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'-' | b'.' | b'*')
        });
        match starts_well && goes_on_well {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected the name of an endpoint: a-z 0-9 _ - . *, starting with a \
                 letter or *"
            )),
        }
    }
}

/// An https URL. Browsers send reports to no other scheme.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
struct EndpointUrl(String);

impl TryFrom<String> for EndpointUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A URL contains no characters that a structured-field string must escape.
        let valid = text
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']))
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        match valid {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected an https URL such as \"https://reports.example/csp\""
            )),
        }
    }
}
