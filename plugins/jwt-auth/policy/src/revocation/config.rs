//! What is configured.

use serde::{Deserialize, Deserializer};

use super::document::not_empty;
use crate::remote::{Cluster, FetchHeaders, Schedule, Source, Uri, between, nanoseconds};
use portcullis_core::config::Duration;

/// Tokens that are no longer accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Revocation")
)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationConfig {
    /// Tokens that are revoked for as long as they stand here.
    pub inline: Vec<Revoked>,
    /// A list to be fetched.
    #[serde(deserialize_with = "remote")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Remote>"))]
    pub remote: Option<Source>,
}

/// A token that is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Its issuer.
    #[serde(deserialize_with = "not_empty")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub iss: String,
    /// Its identifier.
    #[serde(deserialize_with = "not_empty")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub jti: String,
}

/// Where the list is, and when to fetch it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Remote {
    /// The cluster that knows the server.
    cluster: Cluster,
    /// The list, an absolute http or https URI.
    uri: Uri,
    /// FetchHeaders to send along, or in place of `accept`, `accept-encoding` and `user-agent`. They stand in Envoy's
    /// configuration in clear text, and in its dumps: not for secrets.
    #[serde(default)]
    headers: FetchHeaders,
    /// How long a fetch may take, from `1ms` to `1m`. Default: `2s`.
    #[serde(default = "timeout", deserialize_with = "between::<_, 1, 60_000>")]
    timeout: Duration,
    /// How old the list becomes before it is fetched again, from `1s` to `1d`. Default: `30s`.
    #[serde(
        default = "refresh",
        deserialize_with = "between::<_, 1_000, 86_400_000>"
    )]
    refresh: Duration,
}

fn timeout() -> Duration {
    Duration::from_secs(2)
}

fn refresh() -> Duration {
    Duration::from_secs(30)
}

/// A list has no misses, and the last one stays for as long as there is no other.
fn remote<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Source>, D::Error> {
    let remote = Option::<Remote>::deserialize(deserializer)?;
    Ok(remote.map(|remote| {
        let refresh = nanoseconds(remote.refresh);
        Source {
            cluster: remote.cluster,
            uri: remote.uri,
            headers: remote.headers,
            schedule: Schedule {
                refresh,
                keep_stale: u64::MAX,
                min_refetch_interval: refresh,
                timeout: nanoseconds(remote.timeout),
            },
        }
    }))
}
