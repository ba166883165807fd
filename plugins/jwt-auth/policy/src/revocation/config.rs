//! The configuration.

use serde::{Deserialize, Deserializer};

use super::document::not_empty;
use crate::remote::{Cluster, FetchHeaders, Schedule, Source, Uri};
use portcullis_core::config::BoundedDuration;
use portcullis_core::time::Nanos;

/// Tokens that are no longer accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Revocation")
)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationConfig {
    /// Tokens that are revoked while they are listed here.
    pub inline: Vec<Revoked>,
    /// A list to fetch.
    #[serde(deserialize_with = "remote")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Remote>"))]
    pub remote: Option<Source>,
}

/// A revoked token.
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

/// Location of the list, and when to fetch it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Remote {
    /// Envoy cluster of the server.
    cluster: Cluster,
    /// Absolute http or https URI of the list.
    uri: Uri,
    /// Headers to send with the request, in addition to `accept`, `accept-encoding` and `user-agent` or in place of
    /// them. They appear as clear text in Envoy's configuration and in its dumps: do not put secrets here.
    #[serde(default)]
    headers: FetchHeaders,
    /// Time limit of a fetch, from `1ms` to `1m`. Default: `2s`.
    #[serde(default = "timeout")]
    timeout: BoundedDuration<1, 60_000>,
    /// Age at which the list is fetched again, from `1s` to `1d`. Default: `30s`.
    #[serde(default = "refresh")]
    refresh: BoundedDuration<1_000, 86_400_000>,
}

fn timeout() -> BoundedDuration<1, 60_000> {
    const { BoundedDuration::millis(2_000) }
}

fn refresh() -> BoundedDuration<1_000, 86_400_000> {
    const { BoundedDuration::millis(30_000) }
}

/// A list has no misses, and the last one stays in use until another arrives.
fn remote<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Source>, D::Error> {
    let remote = Option::<Remote>::deserialize(deserializer)?;
    Ok(remote.map(|remote| {
        let refresh = remote.refresh.nanos();
        Source {
            cluster: remote.cluster,
            uri: remote.uri,
            headers: remote.headers,
            schedule: Schedule {
                refresh,
                keep_stale: Nanos::MAX,
                min_refetch_interval: refresh,
                timeout: remote.timeout.nanos(),
            },
        }
    }))
}
