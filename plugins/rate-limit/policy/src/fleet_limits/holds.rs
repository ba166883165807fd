//! What a service holds for this proxy, from the answer to the commit.

use std::sync::Arc;

use portcullis_core::label::Label;
use portcullis_core::time::Nanos;
use portcullis_table::{KeyHash, Store};

use super::call::{Call, Counted};
use super::ledger::Ledger;
use super::services::{FleetEvent, ServiceId, Services};
use crate::RateLimit;
use crate::fleet::lease::{Lot, Taken};
use crate::fleet::reserve::{decode_commit, encode_commit, ttl};

/// A commit is sent at most this often.
const ATTEMPTS: u32 = 3;
/// The time until a commit is sent again: this, times the number of attempts.
const RETRY: Nanos = Nanos::SECOND;

/// An amount that a service holds until it is committed.
///
/// The host keeps it, and calls [`RateLimit::commit`] when it is [due](Self::due).
#[derive(Clone, Debug)]
pub struct Hold {
    call: Arc<Call>,
    id: String,
    amount: u32,
    /// The lease that hands it out.
    lot: Lot,
    /// The amount that is used, if that does not change any more.
    used: Option<u32>,
    /// Whether its lease has ended.
    is_closed: bool,
    due: Nanos,
    /// How often its commit was sent.
    attempts: u32,
    sent_at: Nanos,
}

/// A key of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldKey(usize, KeyHash);

/// What has become of hits that a service granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    amount: u32,
    lot: Lot,
    used: Option<u32>,
}

/// What the host does about a hold that is due.
#[derive(Debug)]
pub enum Due {
    /// It sends this message to [`Hold::service`], and reports the answer to [`RateLimit::on_commit`].
    Commit(Vec<u8>),
    /// It keeps the hold until it is due again.
    Later,
    /// Nothing: the commit was given up.
    Over,
}

/// What the answer to a commit changes.
#[derive(Debug, Default)]
pub struct Committed {
    /// The hold, if its commit must be repeated.
    pub again: Option<Hold>,
    /// Whether the service is out now, if that has changed.
    pub is_out: Option<bool>,
}

/// The result of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitResult {
    /// The service counted what was used, and ended the hold.
    Ok,
    /// The service counted what was used, but the hold was over already.
    Expired,
    /// No answer, or an error: it is sent again.
    Error,
    /// It was sent too often, or too late.
    GivenUp,
}

/// The value of the metric label `result`.
impl Label for CommitResult {
    const ALL: &'static [Self] = &[Self::Ok, Self::Expired, Self::Error, Self::GivenUp];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expired => "expired",
            Self::Error => "error",
            Self::GivenUp => "given_up",
        }
    }
}

impl Granted {
    /// Hits of which this part is used, and no other one will be.
    pub(super) fn used(amount: u32, used: u32) -> Self {
        Self {
            amount,
            lot: Lot::NONE,
            used: Some(used),
        }
    }

    /// The hits of a lease, or of one that cannot begin any more.
    pub(super) fn of(amount: u32, taken: Taken, paid: u32) -> Self {
        match taken.lot {
            Lot::NONE => Self::used(amount, taken.cost.saturating_add(paid)),
            lot => Self {
                amount,
                lot,
                used: None,
            },
        }
    }
}

impl Hold {
    pub(super) fn new(call: &Arc<Call>, id: String, granted: Granted, policy: &RateLimit) -> Self {
        let leases = call.parts.first().and_then(|part| {
            let fleet = policy.fleet(part.counted.limit)?;
            fleet.leases.as_ref()
        });
        Self {
            call: Arc::clone(call),
            id,
            amount: granted.amount,
            lot: granted.lot,
            used: granted.used,
            is_closed: false,
            // At once, if it changes no more.
            due: match (granted.used, leases) {
                (None, Some(leases)) => leases.closes(call.asked_at),
                _ => Nanos::ZERO,
            },
            attempts: 0,
            sent_at: Nanos::ZERO,
        }
    }

    /// The request that it was granted for has gone. Returns false if the cost returns to a lease instead.
    pub(super) fn cancel(&mut self) -> bool {
        let cost = self.call.parts.first().map_or(0, |part| part.counted.cost);
        if let Some(used) = &mut self.used {
            *used = used.saturating_sub(cost);
        }
        self.used.is_some()
    }

    /// When [`RateLimit::commit`] is due.
    pub fn due(&self) -> Nanos {
        self.due
    }

    /// The limit and the key whose tokens it hands out, if any. A later hold of the same key replaces this one.
    pub fn key(&self) -> Option<HoldKey> {
        let part = self.call.parts.first()?;
        let hands_out = self.used.is_none();
        hands_out.then(|| HoldKey(part.counted.limit.index(), part.counted.key))
    }

    /// Nobody can keep it: all of it counts as used, so its tokens may be used until they die.
    pub fn use_up(&mut self) {
        self.used = self.used.or(Some(self.amount));
        self.due = Nanos::ZERO;
    }

    /// Another hold has replaced it: it is due now.
    pub fn replaced(&mut self) {
        self.due = Nanos::ZERO;
    }

    /// The service.
    pub fn service(&self) -> ServiceId {
        self.call.service
    }

    fn counted(&self, cost: u32) -> Option<Counted> {
        let part = self.call.parts.first()?;
        Some(Counted {
            cost,
            ..part.counted
        })
    }
}

impl RateLimit {
    /// How long a service must hold an amount of a limit.
    pub(super) fn ttl(&self, limit: crate::LimitId) -> Nanos {
        let Some(fleet) = self.fleet(limit) else {
            return Nanos::ZERO;
        };
        let leases = fleet.leases.as_ref();
        leases.map_or_else(|| ttl(Nanos::ZERO, fleet.timeout), |leases| leases.ttl())
    }

    /// A hold is due, or has been replaced: ends its lease, and returns the commit to send.
    pub fn commit<S: Store, H: Services>(
        &self,
        hold: &mut Hold,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> Due {
        let mut ledger = Ledger {
            policy: self,
            now,
            store,
            services,
        };
        let used = ledger.close(hold);
        if self.is_too_late(hold, now) {
            ledger.give_up(hold, used);
            return Due::Over;
        }
        if !ledger.claim(hold.service()) {
            hold.due = now + RETRY;
            return Due::Later;
        }
        hold.attempts += 1;
        hold.sent_at = now;
        let target = hold.call.message.get(..hold.call.target);
        Due::Commit(encode_commit(target.unwrap_or_default(), &hold.id, used))
    }

    /// Accounts for the answer to a commit, an encoded `CommitResponse`; `Err` if there is none.
    pub fn on_commit<S: Store, H: Services, E>(
        &self,
        hold: &Hold,
        answer: Result<&[u8], E>,
        random: u64,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> Committed {
        let mut ledger = Ledger {
            policy: self,
            now,
            store,
            services,
        };
        let released = answer.ok().and_then(|bytes| decode_commit(bytes).ok());
        let is_terse = released.map(|_| true);
        let is_out = ledger.report_health(hold.service(), hold.sent_at, is_terse, random);
        ledger.count_commit(
            hold,
            match released {
                Some(true) => CommitResult::Ok,
                Some(false) => CommitResult::Expired,
                None => CommitResult::Error,
            },
        );
        let mut again = None;
        if released.is_none() {
            if hold.attempts < ATTEMPTS {
                let mut hold = hold.clone();
                hold.due = now + RETRY * u64::from(hold.attempts);
                again = Some(hold);
            } else {
                ledger.give_up(hold, hold.used.unwrap_or(hold.amount));
            }
        }
        Committed { again, is_out }
    }

    /// Whether the window is over in any case, so that a commit would count in another one.
    fn is_too_late(&self, hold: &Hold, now: Nanos) -> bool {
        let limit = hold.call.parts.first().map(|part| part.counted.limit);
        let compiled = limit.and_then(|limit| self.get(limit));
        let per = compiled.map_or(Nanos::ZERO, |it| it.limit.rate.per());
        now >= hold.call.asked_at + per + self.ttl_of(&hold.call)
    }
}

impl<S: Store, H: Services> Ledger<'_, S, H> {
    /// Ends the lease of a hold, once. Returns the amount that is used.
    fn close(&mut self, hold: &mut Hold) -> u32 {
        if let Some(used) = hold.used.filter(|_| hold.is_closed) {
            return used;
        }
        hold.is_closed = true;
        let used = match hold.used {
            Some(used) => used,
            None => {
                let lot = hold.lot;
                let closed = hold.counted(0).and_then(|counted| {
                    let closed = self.lease(counted, |leases, lease| leases.close(lease, lot));
                    closed.ok()
                });
                // If the table cannot be read, all of it counts, and its tokens can be used until they die.
                let unused = closed.map_or(0, |closed| closed.outcome.unused);
                self.count(hold, FleetEvent::Wasted(unused.saturating_sub(hold.amount)));
                hold.amount.saturating_sub(unused)
            }
        };
        hold.used = Some(used);
        self.count(hold, FleetEvent::Released(hold.amount.saturating_sub(used)));
        used
    }

    /// What was used counts in the next reservation.
    fn give_up(&mut self, hold: &Hold, used: u32) {
        self.count_commit(hold, CommitResult::GivenUp);
        if !self.policy.is_too_late(hold, self.now)
            && let Some(counted) = hold.counted(used)
        {
            self.owe(counted);
        }
    }

    fn count_commit(&mut self, hold: &Hold, result: CommitResult) {
        self.count(hold, FleetEvent::Committed(result));
    }

    fn count(&mut self, hold: &Hold, event: FleetEvent) {
        if matches!(event, FleetEvent::Wasted(0) | FleetEvent::Released(0)) {
            return;
        }
        if let Some(part) = hold.call.parts.first() {
            self.services.count(part.counted.limit, event);
        }
    }
}
