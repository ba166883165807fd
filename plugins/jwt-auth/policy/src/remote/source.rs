//! The configuration of a remote document.

use serde::Deserialize;

use super::record::LAYOUT;
use super::{FetchHeaders, Schedule, Uri};
use portcullis_core::config::BoundedDuration;
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
    #[serde(default = "timeout")]
    timeout: BoundedDuration<1, 60_000>,
    /// Time for which a document is fresh, from `1s` to `30d`. The plugin fetches it again shortly before. Default:
    /// `10m`.
    #[serde(default = "refresh")]
    refresh: BoundedDuration<1_000, 2_592_000_000>,
    /// Further time for which a document is used while it cannot be fetched, at most `365d`. Default: `24h`.
    #[serde(default = "keep_stale")]
    keep_stale: BoundedDuration<0, 31_536_000_000>,
    /// Minimum interval between early fetches because of something that the document lacks, such as an unknown `kid`,
    /// from `1s` to `1d`. Default: `30s`.
    #[serde(default = "min_refetch_interval")]
    min_refetch_interval: BoundedDuration<1_000, 86_400_000>,
}

fn timeout() -> BoundedDuration<1, 60_000> {
    const { BoundedDuration::millis(2_000) }
}

fn refresh() -> BoundedDuration<1_000, 2_592_000_000> {
    const { BoundedDuration::millis(600_000) }
}

fn keep_stale() -> BoundedDuration<0, 31_536_000_000> {
    const { BoundedDuration::millis(86_400_000) }
}

fn min_refetch_interval() -> BoundedDuration<1_000, 86_400_000> {
    const { BoundedDuration::millis(30_000) }
}

impl From<Fields> for Source {
    fn from(fields: Fields) -> Self {
        Self {
            cluster: fields.cluster,
            uri: fields.uri,
            headers: fields.headers,
            schedule: Schedule {
                refresh: fields.refresh.nanos(),
                keep_stale: fields.keep_stale.nanos(),
                min_refetch_interval: fields.min_refetch_interval.nanos(),
                timeout: fields.timeout.nanos(),
            },
        }
    }
}
