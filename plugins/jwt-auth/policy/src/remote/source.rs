//! The configuration of a remote document.

use serde::{Deserialize, Deserializer};

use super::record::LAYOUT;
use super::{FetchHeaders, Schedule, Uri};
use portcullis_core::config::Duration;
use portcullis_core::time::Nanos;
use portcullis_table::fingerprint;

/// Location of a document, and when to fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(from = "Fields")]
pub struct Source {
    /// Envoy cluster of the server.
    pub cluster: Cluster,
    /// The URI of the document.
    pub uri: Uri,
    /// Headers to send with the request.
    pub headers: FetchHeaders,
    /// When to fetch.
    pub schedule: Schedule,
}

impl Source {
    /// A hash of everything that gives a stored document its meaning, for the key of its value: the source, and the
    /// layout. Intervals do not change the identity.
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

/// Location of a document, and when to fetch it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Envoy cluster of the server.
    cluster: Cluster,
    /// Absolute http or https URI of the document.
    uri: Uri,
    /// Headers to send with the request, in addition to `accept`, `accept-encoding` and `user-agent` or in place of
    /// them. They appear as clear text in Envoy's configuration and in its dumps: do not put secrets here.
    #[serde(default)]
    headers: FetchHeaders,
    /// Time limit of a fetch, and of a request that waits for one, from `1ms` to `1m`. Default: `2s`.
    #[serde(default = "timeout", deserialize_with = "between::<_, 1, 60_000>")]
    timeout: Duration,
    /// Time for which a document is fresh, from `1s` to `30d`. The plugin fetches it again shortly before. Default:
    /// `10m`.
    #[serde(
        default = "refresh",
        deserialize_with = "between::<_, 1_000, 2_592_000_000>"
    )]
    refresh: Duration,
    /// Further time for which a document is used while it cannot be fetched, at most `365d`. Default: `24h`.
    #[serde(
        default = "keep_stale",
        deserialize_with = "between::<_, 0, 31_536_000_000>"
    )]
    keep_stale: Duration,
    /// Minimum interval between early fetches because of something that the document lacks, such as an unknown `kid`,
    /// from `1s` to `1d`. Default: `30s`.
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
                refresh: Nanos::from(fields.refresh.get()),
                keep_stale: Nanos::from(fields.keep_stale.get()),
                min_refetch_interval: Nanos::from(fields.min_refetch_interval.get()),
                timeout: Nanos::from(fields.timeout.get()),
            },
        }
    }
}

/// Reads a duration within these bounds in milliseconds.
pub(crate) fn between<'de, D, const LEAST: u64, const MOST: u64>(
    deserializer: D,
) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    let [least, most] = [LEAST, MOST].map(Duration::from_millis);
    Duration::deserialize_within(deserializer, least, most)
}
