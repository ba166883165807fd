//! The configuration: rate-limit services, and the limits that they count.

use std::borrow::Cow;
use std::collections::BTreeMap;

use portcullis_core::config::{BoundedDuration, BoundedInteger, Name, Text, at_member};
use portcullis_core::key::{KeyPart, Request};
use portcullis_core::time::Nanos;
use portcullis_table::fingerprint;
use serde::Deserialize;

use super::lease::Leases;
use super::messages::Entry;
use super::value::bounded;

/// The value of a part that is missing or ambiguous. A client that sends this text itself shares the count of all
/// requests without a value, as it does by sending none.
pub const MISSING: &str = "(missing)";

/// The shortest period of a limit with leases. A service counts time in seconds, so a lease loses up to two of them.
const SHORTEST_WINDOW: Nanos = Nanos::from_secs(10);

/// Rate-limit services, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Services(BTreeMap<Name, Service>);

/// A rate-limit service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name of the Envoy cluster of the service.
    cluster: Text,
    /// Domain in the service's configuration.
    domain: Text,
    /// Longest time that a call may take, from `1ms` to `10s`. Default: `50ms`.
    #[serde(default = "default_timeout")]
    timeout: BoundedDuration<1, 10_000>,
    /// Protocol of the service. Default: `envoy`.
    #[serde(default)]
    protocol: Protocol,
}

fn default_timeout() -> BoundedDuration<1, 10_000> {
    BoundedDuration::millis(50)
}

/// Protocol of a rate-limit service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `envoy.service.ratelimit.v3.RateLimitService`: envoyproxy/ratelimit, Limitador and others.
    #[default]
    Envoy,
    /// `kuadrant.service.ratelimit.v1.RateLimitService` with `Reserve` and `Commit`: Limitador since 0.14.
    Reserve,
}

impl Service {
    /// The name of the cluster.
    pub fn cluster(&self) -> &str {
        self.cluster.as_str()
    }

    /// A hash of what identifies the service: instances with the same identity know the same about it.
    pub fn identity(&self) -> u64 {
        fingerprint((&self.cluster, &self.domain, self.protocol))
    }

    /// The domain of each call.
    pub fn domain(&self) -> &str {
        self.domain.as_str()
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Nanos {
        self.timeout.nanos()
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

impl Services {
    /// A service.
    pub fn get(&self, name: &Name) -> Option<&Service> {
        self.0.get(name)
    }

    /// The services, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Service)> {
        self.0.iter()
    }

    /// Checks that a limit with this `fleet` names one of the services.
    pub fn check(&self, fleet: &Fleet) -> Result<(), String> {
        let name = fleet.service.as_str();
        if self.get(&fleet.service).is_some() {
            return Ok(());
        }
        let names: Vec<_> = self.0.keys().map(Name::as_str).collect();
        let expected = match &names[..] {
            [] => "a service in \"services\"".to_owned(),
            names => format!("one of \"services\": {}", names.join(", ")),
        };
        Err(format!("found {name:?}; expected {expected}"))
    }
}

/// Counts a limit for all proxies together, by a rate-limit service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "FleetFields")
)]
#[serde(try_from = "FleetFields")]
pub struct Fleet {
    service: Name,
    descriptor: Vec<Text>,
    /// `None` in the mode `each`.
    lease: Option<LeaseSize>,
    on_outage: OnOutage,
}

/// Counts a limit for all proxies together, by a rate-limit service.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct FleetFields {
    /// Name of the service, in `services`.
    service: Name,
    /// Names of the entries of the descriptor, one for each part of the key, in the same order.
    descriptor: Vec<Text>,
    /// `lease` takes tokens ahead; `each` calls the service for every request, which waits for the answer. Default:
    /// `lease`.
    #[serde(default)]
    mode: FleetMode,
    /// Size of a lease; only in the mode `lease`.
    lease: Option<LeaseSize>,
    /// Result while the service does not answer. Default: `local`.
    #[serde(default)]
    on_outage: OnOutage,
}

/// When the service is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum FleetMode {
    /// Tokens are taken ahead, and the shared table hands them out.
    #[default]
    Lease,
    /// Every request is a call.
    Each,
}

/// Size of a lease: the lesser of both bounds, or less if the key uses less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct LeaseSize {
    /// Largest number of requests in a lease, from 1 to 1000000. Default: 100.
    max: BoundedInteger<1, 1_000_000>,
    /// Largest part of the limit in a lease, in percent from 1 to 100. Default: 10.
    share: BoundedInteger<1, 100>,
}

impl Default for LeaseSize {
    fn default() -> Self {
        Self {
            max: BoundedInteger::new(100),
            share: BoundedInteger::new(10),
        }
    }
}

/// Result of a request that the service does not decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnOutage {
    /// Each proxy counts by itself, with the algorithm and rate of the limit.
    #[default]
    Local,
    /// The request passes uncounted.
    Allow,
    /// The request is denied.
    Deny,
}

impl TryFrom<FleetFields> for Fleet {
    type Error = String;

    fn try_from(fields: FleetFields) -> Result<Self, String> {
        let lease = match (fields.mode, fields.lease) {
            (FleetMode::Each, Some(_)) => {
                let message = "found a lease in the mode \"each\", which takes nothing ahead";
                return Err(at_member("lease", message));
            }
            (FleetMode::Each, None) => None,
            (FleetMode::Lease, lease) => Some(lease.unwrap_or_default()),
        };
        Ok(Self {
            service: fields.service,
            descriptor: fields.descriptor,
            lease,
            on_outage: fields.on_outage,
        })
    }
}

impl Fleet {
    /// Checks that it fits the key and the rate of its limit.
    pub fn check(&self, key: &[KeyPart], requests: u32, per: Nanos) -> Result<(), String> {
        let names = self.descriptor.len();
        if key.is_empty() {
            return Err(
                "found a limit without a key; a service counts values: expected at least one part, such as \
                 {\"constant\": \"all\"} for the entry \"generic_key\""
                    .to_owned(),
            );
        }
        if names != key.len() {
            return Err(format!(
                "found {names} names in \"descriptor\"; expected {}, one for each part of the key",
                key.len()
            ));
        }
        if requests == 0 {
            return Err("found a rate of 0, which needs no service".to_owned());
        }
        let Some(lease) = self.lease else {
            return Ok(());
        };
        // The default is for rates of any size.
        if lease.max.get() > requests && lease != LeaseSize::default() {
            return Err(format!(
                "found {} in \"lease.max\"; expected at most {requests}, the requests of the rate",
                lease.max.get()
            ));
        }
        if per < SHORTEST_WINDOW {
            return Err(
                "found the mode \"lease\" with a period below 10s, too short for services that count time in \
                 seconds; expected \"each\", or a longer period"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The names of the entries.
    pub fn descriptor(&self) -> &[Text] {
        &self.descriptor
    }

    /// Whether it takes leases.
    pub fn has_leases(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether this process counts during an outage.
    pub fn counts_locally(&self) -> bool {
        self.on_outage == OnOutage::Local
    }

    /// The name of the service.
    pub fn service(&self) -> &Name {
        &self.service
    }

    /// What happens to requests that the service does not decide.
    pub fn on_outage(&self) -> OnOutage {
        self.on_outage
    }

    /// The leases of a limit with this rate; `None` in the mode `each`.
    pub fn leases(&self, service: &Service, requests: u32, per: Nanos) -> Option<Leases> {
        let lease = self.lease?;
        Some(Leases {
            max: lease.max.get().min(requests),
            share: lease.share.get(),
            timeout: service.timeout(),
            requests,
            per,
            holds: service.protocol == Protocol::Reserve,
        })
    }

    /// The entries of a request's descriptor. A part without a value has the value [`MISSING`]; the caller has
    /// applied `missing` already. A value of more than 256 bytes is sent as its beginning and a hash.
    pub fn entries<'a>(&'a self, key: &[KeyPart], request: &Request<'_>) -> Vec<Entry<'a>> {
        let entry = |(name, part): (&'a Text, &KeyPart)| {
            let value = part.service_value(request);
            let value = value.map_or(Cow::Borrowed(MISSING), |it| Cow::Owned(bounded(it)));
            (name.as_str(), value)
        };
        self.descriptor.iter().zip(key).map(entry).collect()
    }
}
