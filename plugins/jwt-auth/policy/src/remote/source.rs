//! What is configured about a document.

use serde::{Deserialize, Deserializer};

use super::record::LAYOUT;
use super::{FetchHeaders, Schedule, Uri};
use portcullis_core::config::Duration;
use portcullis_table::fingerprint;

/// Where a document is, and when to fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(from = "Fields")]
pub struct Source {
    /// The cluster that knows the server.
    pub cluster: Cluster,
    /// What to ask it for.
    pub uri: Uri,
    /// FetchHeaders to send along.
    pub headers: FetchHeaders,
    /// When to ask.
    pub schedule: Schedule,
}

impl Source {
    /// A hash of everything that gives a stored document its meaning, for the key of its value: where
    /// it comes from, and the layout. With other intervals it is the same document.
    pub fn identity(&self) -> u64 {
        fingerprint((LAYOUT, &self.cluster, &self.uri, &self.headers))
    }
}

/// The name of one of Envoy's clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub struct Cluster(String);

impl Cluster {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Cluster {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match !text.is_empty() && !text.contains(char::is_control) {
            true => Ok(Self(text)),
            false => Err(format!("found {text:?}; expected the name of a cluster")),
        }
    }
}

/// Where a document is, and when to fetch it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The cluster that knows the server.
    cluster: Cluster,
    /// The document, an absolute http or https URI.
    uri: Uri,
    /// FetchHeaders to send along, or in place of `accept`, `accept-encoding` and `user-agent`. They stand in Envoy's
    /// configuration in clear text, and in its dumps: not for secrets.
    #[serde(default)]
    headers: FetchHeaders,
    /// How long a fetch may take, from `1ms` to `1m`. Default: `2s`.
    #[serde(default = "timeout", deserialize_with = "between::<_, 1, 60_000>")]
    timeout: Duration,
    /// How long a document is fresh, from `1s` to `30d`. It is fetched again shortly before. Default:
    /// `10m`.
    #[serde(
        default = "refresh",
        deserialize_with = "between::<_, 1_000, 2_592_000_000>"
    )]
    refresh: Duration,
    /// How long a document that is not fresh any more is still used while it cannot be fetched, at most
    /// `365d`. Default: `24h`.
    #[serde(
        default = "keep_stale",
        deserialize_with = "between::<_, 0, 31_536_000_000>"
    )]
    keep_stale: Duration,
    /// How often something that the document does not have may be a reason to fetch it early, from `1s`
    /// to `1d`. Default: `30s`.
    #[serde(
        default = "min_refetch_interval",
        deserialize_with = "between::<_, 1_000, 86_400_000>"
    )]
    min_refetch_interval: Duration,
}

fn timeout() -> Duration {
    Duration::from_secs(2)
}

fn refresh() -> Duration {
    Duration::from_secs(10 * 60)
}

fn keep_stale() -> Duration {
    Duration::from_days(1)
}

fn min_refetch_interval() -> Duration {
    Duration::from_secs(30)
}

impl From<Fields> for Source {
    fn from(fields: Fields) -> Self {
        Self {
            cluster: fields.cluster,
            uri: fields.uri,
            headers: fields.headers,
            schedule: Schedule {
                refresh: nanoseconds(fields.refresh),
                keep_stale: nanoseconds(fields.keep_stale),
                min_refetch_interval: nanoseconds(fields.min_refetch_interval),
                timeout: nanoseconds(fields.timeout),
            },
        }
    }
}

/// Reads a duration within these bounds, in milliseconds.
pub(crate) fn between<'de, D, const LEAST: u64, const MOST: u64>(
    deserializer: D,
) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    let [least, most] = [LEAST, MOST].map(Duration::from_millis);
    Duration::deserialize_within(deserializer, least, most)
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.get().as_nanos()).unwrap_or(u64::MAX)
}
