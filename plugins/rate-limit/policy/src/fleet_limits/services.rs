//! What the policy needs of the host about services.

use portcullis_core::label::Label;
use portcullis_table::{Edit, State as _, TableEvents};

use super::holds::CommitResult;
use crate::LimitId;
use crate::fleet::config::OnOutage;
use crate::fleet::lease::Ended;
use crate::fleet::outage::Health;

/// A service of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId(pub(super) usize);

impl ServiceId {
    /// The position in [`RateLimit::services`](crate::RateLimit::services).
    pub fn index(self) -> usize {
        self.0
    }
}

/// What all workers know about a service. The default is a service that answers as envoyproxy/ratelimit does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// Whether it can be called.
    pub health: Health,
    /// Whether it answers without statuses, as Limitador does. A call to it has one descriptor, because nothing else
    /// says which one is over its limit.
    pub is_terse: bool,
}

impl ServiceState {
    /// Decodes a state. Anything else than a state is the default.
    pub fn of(bytes: &[u8]) -> Self {
        let Some((is_terse, health)) = bytes.split_last() else {
            return Self::default();
        };
        let health = health.try_into();
        health.map_or_else(
            |_| Self::default(),
            |health| Self {
                health: Health::from_bytes(health),
                is_terse: *is_terse != 0,
            },
        )
    }

    /// Changes an encoded state.
    pub fn edit<T>(bytes: &mut Vec<u8>, change: impl FnOnce(Self) -> (Self, T)) -> Edit<(Self, T)> {
        let old = Self::of(bytes);
        let (new, outcome) = change(old);
        let changed = new != old;
        if changed {
            *bytes = new.health.to_bytes().to_vec();
            bytes.push(new.is_terse.into());
        }
        Edit {
            changed,
            outcome: (new, outcome),
        }
    }
}

/// The host's part in limits of a fleet: the states of services, which all workers share, and the metrics.
pub trait Services {
    /// The state of a service. A copy that is some milliseconds old will do.
    fn state(&mut self, service: ServiceId) -> ServiceState;

    /// Changes the state of a service atomically; `None` if that fails.
    fn update<T>(
        &mut self,
        service: ServiceId,
        change: impl FnMut(ServiceState) -> (ServiceState, T),
    ) -> Option<T>;

    /// Whether one more request may wait for a service in this worker. If not, the service is not called for it.
    fn may_wait(&self, service: ServiceId) -> bool;

    /// Counts an event of a limit.
    fn count(&mut self, limit: LimitId, event: FleetEvent);
}

/// For policies without services.
#[derive(Clone, Copy, Debug)]
pub struct NoServices;

impl Services for NoServices {
    fn state(&mut self, _: ServiceId) -> ServiceState {
        ServiceState::default()
    }

    fn update<T>(
        &mut self,
        _: ServiceId,
        _: impl FnMut(ServiceState) -> (ServiceState, T),
    ) -> Option<T> {
        None
    }

    fn may_wait(&self, _: ServiceId) -> bool {
        false
    }

    fn count(&mut self, _: LimitId, _: FleetEvent) {}
}

/// An event of a limit of a fleet, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetEvent {
    /// The service granted this many hits.
    Taken(u32),
    /// A request returned this many hits to the lease.
    Returned(u32),
    /// This many hits were counted by the service, and can no longer be used.
    Wasted(u32),
    /// A lease ended.
    Ended(Ended),
    /// A request is denied without a call, because a refusal of the service still holds.
    CachedDenial,
    /// This many hits were held by the service, and return to it unused.
    Released(u32),
    /// A commit was answered, has failed, or is given up.
    Committed(CommitResult),
    /// A call was answered, or has failed.
    Called(CallResult),
    /// A request waits.
    Waited,
    /// `on_outage` decided about a request.
    Outage(OnOutage),
    /// The service has another limit than the configuration.
    Differs {
        /// The service's limit.
        limit: u32,
    },
    /// The effects on the table of leases.
    Table(TableEvents),
}

/// The result of a call for one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The service granted the hits.
    Ok,
    /// The service refused the hits.
    OverLimit,
    /// No answer in time.
    Timeout,
    /// An error, or an answer that cannot be read.
    Error,
}

/// The value of the metric label `result`.
impl Label for CallResult {
    const ALL: &'static [Self] = &[Self::Ok, Self::OverLimit, Self::Timeout, Self::Error];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OverLimit => "over_limit",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

/// The value of the metric label `result`.
impl Label for OnOutage {
    const ALL: &'static [Self] = &[Self::Local, Self::Allow, Self::Deny];

    fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}
