//! Limits of a fleet among the other limits of a policy.
//!
//! [`fleet`](crate::fleet) is about one key of one limit. This is about one request: it may have several such limits,
//! beside local ones, and must pass all or none.
//!
//! # One request
//!
//! All enforcing limits are checked in one pass, in the order of the configuration. A limit with tokens takes them; a
//! limit without any puts a call on the list, and counts as admitted for now. After the pass:
//!
//! - If another limit denies the request, no call is made, and all give back what they took.
//! - Otherwise all calls of the request for one service become one, and the evaluation is **pending**. What the other
//!   limits reserved stays reserved meanwhile, at most for the `timeout` of the service.
//!
//! When an answer arrives or the time is over, the host [resumes](RateLimit::resume) the evaluation. A limit that the
//! service grants keeps the tokens; a refusal denies the request, and the others give back. If there is no answer,
//! `on_outage` decides about that limit. A request that ends while it waits is [cancelled](RateLimit::cancel).
//!
//! Hits that the service counted for one request in the mode `each` cannot be given back: no service can subtract.
//!
//! # Holds
//!
//! With `Reserve`, what a service grants is a [`Hold`]. The host keeps it. When the hold is due, or replaced by another one
//! of its key, the policy ends its lease and makes the commit, which is a call of its own that no request waits for. Its
//! use is known at once if it hands out no tokens: in the mode `each`, and if an answer comes too late for its lease.
//!
//! A commit that fails is sent again. The service counts each one that arrives, so a commit whose answer is lost counts
//! twice: that loses hits, and never admits more. If it is given up, its use becomes a debt of the key, unless the window
//! is over.
//!
//! # Shadow
//!
//! A limit in shadow mode takes leases, and its calls are made, but no request waits for them. A request that would
//! have to wait is admitted there. So the first requests of a key are not judged, and in the mode `each` none is; the
//! results of calls are in the metrics all the same.
//!
//! # What the service adds
//!
//! Its headers and its body go to the request that waited for the answer, as in Envoy's own filter: headers are
//! appended, except that a `content-type` replaces that of a denial. `x-ratelimit-limit`, `-remaining` and `-reset` are
//! left out: they are Limitador's way to say how much is left, and would be wrong on the requests that do not wait.

mod additions;
mod answers;
mod call;
mod check;
mod health;
mod holds;
mod ledger;
mod pending;
mod services;

use portcullis_core::time::Nanos;

pub use answers::Effect;
pub use call::Call;
pub(crate) use call::Counted;
pub(crate) use check::Ask;
pub use holds::{CommitResult, Committed, Due, Hold, HoldKey};
pub(crate) use ledger::Ledger;
pub(crate) use pending::InFleet;
pub use services::{CallResult, FleetEvent, NoServices, ServiceId, ServiceState, Services};

use crate::fleet::config::{self, OnOutage, Service};
use crate::fleet::lease::Leases;
use crate::limit::Limit;
use crate::{LimitId, RateLimit};
use portcullis_core::config::Name;

/// The fleet of a limit, compiled.
#[derive(Debug)]
pub(crate) struct CompiledFleet {
    pub(crate) service: ServiceId,
    pub(crate) timeout: Nanos,
    /// `None` in the mode `each`.
    pub(crate) leases: Option<Leases>,
    pub(crate) on_outage: OnOutage,
    /// The number of the table of its leases.
    pub(crate) table: usize,
    /// The number of blocks of that table.
    pub(crate) blocks: u32,
}

impl CompiledFleet {
    /// `None` if the limit has no fleet, or its service does not exist, which the configuration rules out.
    pub(crate) fn of(
        limit: &Limit,
        services: &config::Services,
        table: usize,
        max_keys: u32,
    ) -> Option<Self> {
        let fleet = limit.fleet.as_ref()?;
        let mut services = services.iter().enumerate();
        let (index, (_, service)) = services.find(|(_, (name, _))| *name == fleet.service())?;
        let requests = limit.rate.requests.most().get();
        Some(Self {
            service: ServiceId(index),
            timeout: service.timeout(),
            leases: fleet.leases(service, requests, limit.rate.per()),
            on_outage: fleet.on_outage(),
            table,
            blocks: limit.lease_blocks(max_keys),
        })
    }
}

impl RateLimit {
    /// The services, by [`ServiceId::index`].
    pub fn services(&self) -> impl Iterator<Item = (&Name, &Service)> {
        self.services.iter()
    }

    /// A service.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        let service = self.services.iter().nth(id.0);
        service.map(|(_, service)| service)
    }

    /// Whether a limit has a fleet, so that requests may wait.
    pub fn has_fleets(&self) -> bool {
        self.has_fleets
    }

    /// The fleets of the limits, by [`LimitId::index`].
    pub fn fleets(&self) -> impl Iterator<Item = Option<&config::Fleet>> {
        self.limits.iter().map(|limit| limit.limit.fleet.as_ref())
    }

    pub(crate) fn fleet(&self, limit: LimitId) -> Option<&CompiledFleet> {
        self.get(limit)?.fleet.as_ref()
    }
}
