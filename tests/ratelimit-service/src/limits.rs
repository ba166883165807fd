//! The limits, in the format of envoyproxy/ratelimit: nested descriptors, each with or without a value.

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit as EnvoyUnit;
use serde::Deserialize;

/// The limits of a domain.
///
/// ```
/// use portcullis_ratelimit_service::Limits;
///
/// let limits = Limits::from_yaml(
///     "
/// domain: edge
/// descriptors:
///   - key: api_key
///     rate_limit: {unit: minute, requests_per_unit: 1000}
/// ",
/// );
///
/// assert!(limits.is_ok());
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    domain: String,
    descriptors: Vec<Descriptor>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    key: String,
    value: Option<String>,
    rate_limit: Option<RateLimit>,
    #[serde(default)]
    descriptors: Vec<Descriptor>,
}

/// A number of hits in a unit of time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    pub(crate) unit: Unit,
    pub(crate) requests_per_unit: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

impl Unit {
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    pub(crate) fn of_envoy(self) -> EnvoyUnit {
        match self {
            Self::Second => EnvoyUnit::Second,
            Self::Minute => EnvoyUnit::Minute,
            Self::Hour => EnvoyUnit::Hour,
            Self::Day => EnvoyUnit::Day,
        }
    }
}

impl Limits {
    /// Reads YAML, or JSON.
    ///
    /// # Errors
    /// A text that says what is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        yaml_serde::from_str(text).map_err(|error| error.to_string())
    }

    /// The limit for a descriptor. Its entries choose a path from the root, a descriptor with their value before one
    /// without, and the limit is that of the path's end.
    pub(crate) fn find(&self, domain: &str, entries: &[Entry]) -> Option<RateLimit> {
        let (last, parents) = entries.split_last()?;
        if domain != self.domain {
            return None;
        }
        let mut level = self.descriptors.as_slice();
        for entry in parents {
            level = &choose(level, entry)?.descriptors;
        }
        choose(level, last)?.rate_limit
    }
}

fn choose<'a>(level: &'a [Descriptor], entry: &Entry) -> Option<&'a Descriptor> {
    let with = |value: Option<&str>| {
        let matches = |own: &&Descriptor| own.key == entry.key && own.value.as_deref() == value;
        level.iter().find(matches)
    };
    with(Some(&entry.value)).or_else(|| with(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "
domain: edge
descriptors:
  - key: api_key
    rate_limit: {unit: minute, requests_per_unit: 1000}
  - key: api_key
    value: gold
    rate_limit: {unit: hour, requests_per_unit: 50000}
  - key: path
    descriptors:
      - key: remote_address
        rate_limit: {unit: second, requests_per_unit: 5}
";

    fn find(domain: &str, entries: &[(&str, &str)]) -> Option<(Unit, u32)> {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        let limits = Limits::from_yaml(LIMITS).unwrap();
        let found = limits.find(domain, &entries);
        found.map(|limit| (limit.unit, limit.requests_per_unit))
    }

    #[test]
    fn a_descriptor_with_the_value_comes_first() {
        assert_eq!(
            find("edge", &[("api_key", "a")]),
            Some((Unit::Minute, 1000))
        );
        assert_eq!(
            find("edge", &[("api_key", "gold")]),
            Some((Unit::Hour, 50_000))
        );
    }

    #[test]
    fn all_entries_must_match() {
        let address = ("remote_address", "192.0.2.1");
        assert_eq!(
            find("edge", &[("path", "/"), address]),
            Some((Unit::Second, 5))
        );
        assert_eq!(find("edge", &[("path", "/")]), None);
        assert_eq!(find("edge", &[address]), None);
        assert_eq!(find("edge", &[("api_key", "a"), address]), None);
        assert_eq!(find("edge", &[]), None);
    }

    #[test]
    fn other_domains_have_no_limits() {
        assert_eq!(find("shop", &[("api_key", "a")]), None);
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        let error = Limits::from_yaml("{domain: edge, descriptors: [{key: a, ratelimit: {}}]}");
        assert!(error.unwrap_err().contains("ratelimit"));
    }
}
