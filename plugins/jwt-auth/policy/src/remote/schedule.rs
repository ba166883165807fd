//! Which worker fetches, and when. The [module](super) is the specification.

use super::record::Record;
use super::{Acquired, Freshness, StoreResult, Ticket, Trigger};
use portcullis_core::backoff::{Backoff, Jitter, fraction};
use portcullis_core::time::Nanos;
use portcullis_table::Edit;

/// How long a lease outlasts the timeout of its fetch. Envoy calls back when the timeout is over; earlier work on
/// the event loop delays the worker further.
pub const LEASE_MARGIN: Nanos = Nanos::SECOND;

/// The most bytes that a document may have.
pub const MAX_BODY: usize = 1 << 20;

/// The smallest difference between two tickets.
const TICK: Nanos = Nanos::new(1);

const FIRST_BACK_OFF: Nanos = Nanos::SECOND;
const LONGEST_BACK_OFF: Nanos = Nanos::from_secs(300);

/// The intervals of a document.
///
/// ```
/// use jwt_auth_policy::remote::{Acquired, Freshness, Schedule, StoreResult, Trigger, View};
/// use portcullis_core::time::Nanos;
///
/// let schedule = Schedule {
///     refresh: Nanos::from_secs(600),
///     keep_stale: Nanos::from_secs(3600),
///     min_refetch_interval: Nanos::from_secs(30),
///     timeout: Nanos::from_secs(2),
/// };
/// let mut value = Vec::new();
/// let now = Nanos::from_secs(1_700_000_000);
///
/// // One worker fetches, another one does not.
/// let first = schedule.acquire(&mut value, 0, Trigger::Due, now).outcome;
/// let Acquired::Fetch { ticket, .. } = first else {
///     return Err("not the first");
/// };
/// let second = schedule.acquire(&mut value, 0, Trigger::Due, now).outcome;
/// assert_eq!(second, Acquired::Held { until: now + Nanos::from_secs(3) });
///
/// // The document arrives, parses and is stored. The other worker learns of it.
/// let now = now + Nanos::SECOND;
/// let stored = schedule.succeed(&mut value, ticket, now, b"{}", 7).outcome;
/// assert_eq!(stored, StoreResult::Changed);
/// let second = schedule.acquire(&mut value, 0, Trigger::Due, now).outcome;
/// assert_eq!(second, Acquired::Changed);
/// let view = View::read(&value);
/// assert_eq!(view.body, b"{}");
/// assert_eq!(view.freshness(&schedule, now), Freshness::Fresh);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a document is fresh.
    pub refresh: Nanos,
    /// How long it is used after that while it cannot be fetched.
    pub keep_stale: Nanos,
    /// The minimum interval between two fetches because of a miss.
    pub min_refetch_interval: Nanos,
    /// The time limit of a fetch.
    pub timeout: Nanos,
}

impl Schedule {
    /// Asks whether to fetch. `known` is the generation of the caller's document, 0 without one. With the answer
    /// [`Acquired::Fetch`], the caller holds the lease.
    pub fn acquire(
        &self,
        bytes: &mut Vec<u8>,
        known: u64,
        trigger: Trigger,
        now: Nanos,
    ) -> Edit<Acquired> {
        let found = Record::read(bytes).map(|(record, _)| record);
        let was_malformed = found.is_none();
        let record = found.unwrap_or_default();
        let refused = |outcome| Edit {
            changed: false,
            outcome,
        };
        if known != record.generation {
            return refused(Acquired::Changed);
        }
        if now < record.lease_until {
            return refused(Acquired::Held {
                until: record.lease_until,
            });
        }
        let mut record = with_abandoned_fetch(record);
        let refresh_at = self.refresh_at(&record);
        let wanted_at = match trigger {
            Trigger::Due => refresh_at,
            Trigger::Miss => refresh_at.min(self.next_miss_at(&record)),
        };
        let earliest = wanted_at.max(self.back_off_until(&record));
        if now < earliest {
            return refused(Acquired::NotBefore(earliest));
        }
        if now < refresh_at {
            record.missed_at = now;
        }
        record.started_at = now.max(record.started_at + TICK);
        record.lease_until = record.started_at + self.timeout + LEASE_MARGIN;
        if was_malformed {
            bytes.clear();
        }
        record.write(bytes);
        Edit {
            changed: true,
            outcome: Acquired::Fetch {
                ticket: Ticket(record.started_at),
                was_malformed,
            },
        }
    }

    /// Stores a document that was fetched and parsed. `random` is an unpredictable number.
    pub fn succeed(
        &self,
        bytes: &mut Vec<u8>,
        ticket: Ticket,
        now: Nanos,
        body: &[u8],
        random: u64,
    ) -> Edit<StoreResult> {
        if body.is_empty() || body.len() > MAX_BODY {
            let Edit { changed, .. } = self.fail(bytes, ticket, now, random, None);
            return Edit {
                changed,
                outcome: StoreResult::Refused,
            };
        }
        let (mut record, stored) = Record::read(bytes).unwrap_or_default();
        if ticket.0 <= record.fetched_at {
            return Edit {
                changed: false,
                outcome: StoreResult::Late,
            };
        }
        if ticket.0 >= record.started_at {
            record.started_at = ticket.0;
            record.lease_until = Nanos::ZERO;
        }
        record.failures = 0;
        record.random = random;
        record.fetched_at = ticket.0;
        let outcome = if stored == body {
            record.write(bytes);
            StoreResult::Unchanged
        } else {
            record.generation = now.get().max(record.generation.saturating_add(1));
            record.write_with(body, bytes);
            StoreResult::Changed
        };
        Edit {
            changed: true,
            outcome,
        }
    }

    /// Notes that a fetch has failed. `random` is an unpredictable number, `retry_after` the pause that the server
    /// asked for. Returns whether the failure counts, which it does for the latest fetch only.
    pub fn fail(
        &self,
        bytes: &mut Vec<u8>,
        ticket: Ticket,
        now: Nanos,
        random: u64,
        retry_after: Option<Nanos>,
    ) -> Edit<bool> {
        let record = Record::read(bytes).map(|(record, _)| record);
        let latest = record.filter(|record| record.started_at == ticket.0);
        let Some(mut record) = latest.filter(|record| record.lease_until > Nanos::ZERO) else {
            return Edit {
                changed: false,
                outcome: false,
            };
        };
        record.lease_until = Nanos::ZERO;
        record.failures = record.failures.saturating_add(1);
        record.failed_at = now;
        record.retry_after = retry_after.unwrap_or_default();
        record.random = random;
        record.write(bytes);
        Edit {
            changed: true,
            outcome: true,
        }
    }

    /// When the next fetch is due, failures aside.
    fn refresh_at(&self, record: &Record) -> Nanos {
        if record.generation == 0 {
            return Nanos::ZERO;
        }
        let tenth = self.refresh / 10;
        let age = self.refresh - tenth * 2 + fraction(tenth, record.random);
        record.fetched_at + age
    }

    /// The earliest time at which a miss justifies a fetch.
    fn next_miss_at(&self, record: &Record) -> Nanos {
        match record.missed_at {
            Nanos::ZERO => Nanos::ZERO,
            last => last + self.min_refetch_interval,
        }
    }

    /// The end of the pause after a failure.
    fn back_off_until(&self, record: &Record) -> Nanos {
        let Some(attempt) = record.failures.checked_sub(1) else {
            return Nanos::ZERO;
        };
        let longest = self.refresh.min(LONGEST_BACK_OFF);
        let backoff = Backoff {
            base: FIRST_BACK_OFF,
            factor: 2,
            max: longest,
            jitter: Jitter::Equal,
        };
        // In this layout, a larger random number means a shorter delay.
        let delay = backoff.delay(u32::try_from(attempt).unwrap_or(u32::MAX), !record.random);
        let asked_for = record.retry_after.min(longest);
        record.failed_at + delay.max(asked_for)
    }

    /// How fresh a document is that was fetched at this time.
    pub(super) fn freshness(&self, fetched_at: Nanos, now: Nanos) -> Freshness {
        let stale_at = fetched_at + self.refresh;
        if now < stale_at {
            Freshness::Fresh
        } else if now < stale_at + self.keep_stale {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

/// A lease that nobody holds any longer, but that was not returned: its fetch failed when the lease ran out.
fn with_abandoned_fetch(record: Record) -> Record {
    match record.lease_until {
        Nanos::ZERO => record,
        lease_until => Record {
            lease_until: Nanos::ZERO,
            failures: record.failures.saturating_add(1),
            failed_at: lease_until,
            retry_after: Nanos::ZERO,
            ..record
        },
    }
}
