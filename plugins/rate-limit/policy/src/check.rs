//! The result of a request under one limit.

use super::LimitId;
use super::fleet::lease::{Debt, Lot};
use super::fleet_limits::Counted;
use super::limiter::{LimitEvents, Quota};
use portcullis_core::evaluation;
use portcullis_core::label::Label;
use portcullis_core::time::Nanos;
use portcullis_table::KeyHash;

/// The result of a request under one limit.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) limit: LimitId,
    pub(super) decision: Decision,
    /// The number of requests in the limit's period, for this request.
    pub(super) requests: u32,
    /// The time until the request would be admitted.
    pub(super) wait: Nanos,
    /// `None` if the table could not be read.
    pub(super) quota: Option<Quota>,
    /// The cost that is reserved and not rolled back.
    pub(super) reservation: Option<Reservation>,
    pub(super) events: LimitEvents,
    /// Whether `on_outage` decided, with `allow` or `deny`.
    pub(super) is_outage: bool,
}

/// A cost that was spent on a key, and may be refunded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) key: KeyHash,
    pub(super) cost: u32,
    pub(super) origin: Origin,
}

/// Where a reserved cost was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the limit's own table.
    Local,
    /// In the limit's own table, in place of the service; with leases, also as a debt.
    Outage(Option<Debt>),
    /// In a lease.
    Lease(Lot),
    /// By the service, for this request alone.
    Service,
}

impl Reservation {
    pub(super) fn counted(self, check: &Check) -> Counted {
        Counted {
            limit: check.limit,
            key: self.key,
            cost: self.cost,
            requests: check.requests,
        }
    }
}

/// The decision of a limit about a request.
pub type Decision = evaluation::Decision<Reason>;

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The remaining capacity is less than the cost.
    RateLimited,
    /// The cost is more than the limit ever admits at once.
    CostTooLarge,
    /// A part of the key is missing.
    MissingKey,
    /// The request could not be counted.
    Unavailable,
}

/// The value of the metric label `reason`.
impl Label for Reason {
    const ALL: &'static [Self] = &[
        Self::RateLimited,
        Self::CostTooLarge,
        Self::MissingKey,
        Self::Unavailable,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::CostTooLarge => "cost_too_large",
            Self::MissingKey => "missing_key",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Check {
    pub(super) fn of(counted: Counted, decision: Decision, wait: Nanos) -> Self {
        Self::undecided(counted.limit, counted.requests).decided(decision, wait)
    }

    pub(super) fn undecided(limit: LimitId, requests: u32) -> Self {
        Self {
            limit,
            decision: Decision::Admitted,
            requests,
            wait: Nanos::ZERO,
            quota: None,
            reservation: None,
            events: LimitEvents::default(),
            is_outage: false,
        }
    }

    pub(super) fn decided(self, decision: Decision, wait: Nanos) -> Self {
        Self {
            decision,
            wait,
            ..self
        }
    }

    /// The limit.
    pub fn limit(&self) -> LimitId {
        self.limit
    }

    /// Its decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether the request passed and left at least 80 % of the limit used.
    pub fn is_near_limit(&self) -> bool {
        self.decision == Decision::Admitted
            && self.quota.is_some_and(|quota| quota.is_nearly_used())
    }

    /// Whether the request could not be counted, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        !self.is_outage
            && matches!(
                self.decision,
                Decision::Uncounted
                    | Decision::Denied(Reason::Unavailable)
                    | Decision::ShadowDenied(Reason::Unavailable)
            )
    }

    /// The effects of the check on the limit's table.
    pub fn events(&self) -> LimitEvents {
        self.events
    }
}

impl evaluation::Check for Check {
    type Reason = Reason;

    fn decision(&mut self) -> &mut Decision {
        &mut self.decision
    }
}
