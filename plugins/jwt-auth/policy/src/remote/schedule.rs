//! Who fetches, and when. The [module](super) is the specification.

use super::record::Record;
use super::{Acquired, Freshness, StoreResult, Ticket, Trigger};
use portcullis_table::Edit;

const SECOND: u64 = 1_000_000_000;

/// How long a lease outlasts the timeout of its fetch. Envoy calls back when the timeout is over; a
/// worker is late then by what its event loop has to do before.
pub const LEASE_MARGIN: u64 = SECOND;

/// The most bytes that a document may have.
pub const MAX_BODY: usize = 1 << 20;

const FIRST_BACK_OFF: u64 = SECOND;
const LONGEST_BACK_OFF: u64 = 300 * SECOND;

/// The intervals of a document, in nanoseconds.
///
/// ```
/// use jwt_auth_policy::remote::{Acquired, Schedule, Freshness, StoreResult, Trigger, View};
///
/// const SECOND: u64 = 1_000_000_000;
/// let schedule = Schedule {
///     refresh: 600 * SECOND,
///     keep_stale: 3600 * SECOND,
///     min_refetch_interval: 30 * SECOND,
///     timeout: 2 * SECOND,
/// };
/// let mut value = Vec::new();
/// let now = 1_700_000_000 * SECOND;
///
/// // One worker fetches, another one does not.
/// let first = schedule.acquire(&mut value, 0, Trigger::Due, now).outcome;
/// let Acquired::Fetch { ticket, .. } = first else {
///     return Err("not the first");
/// };
/// let second = schedule.acquire(&mut value, 0, Trigger::Due, now).outcome;
/// assert_eq!(second, Acquired::Held { until: now + 3 * SECOND });
///
/// // The document arrives, and was parsed. The other worker hears of it.
/// let stored = schedule.succeed(&mut value, ticket, now + SECOND, b"{}", 7).outcome;
/// assert_eq!(stored, StoreResult::Changed);
/// let second = schedule.acquire(&mut value, 0, Trigger::Due, now + SECOND).outcome;
/// assert_eq!(second, Acquired::Changed);
/// let view = View::read(&value);
/// assert_eq!(view.body, b"{}");
/// assert_eq!(view.freshness(&schedule, now + SECOND), Freshness::Fresh);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a document is fresh.
    pub refresh: u64,
    /// How long it is used after that, when it cannot be fetched.
    pub keep_stale: u64,
    /// How long a fetch because of a miss rules out the next one.
    pub min_refetch_interval: u64,
    /// How long a fetch may take.
    pub timeout: u64,
}

impl Schedule {
    /// Asks whether to fetch. `known` is the generation of the document that the caller has, 0 if it has
    /// none. If the answer is [`Acquired::Fetch`], the lease is taken.
    pub fn acquire(
        &self,
        bytes: &mut Vec<u8>,
        known: u64,
        trigger: Trigger,
        now: u64,
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
        record.started_at = now.max(record.started_at.saturating_add(1));
        record.lease_until = record
            .started_at
            .saturating_add(self.timeout)
            .saturating_add(LEASE_MARGIN);
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

    /// Stores a document that was fetched and found good. `random` is a number that nobody can predict.
    pub fn succeed(
        &self,
        bytes: &mut Vec<u8>,
        ticket: Ticket,
        now: u64,
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
            record.lease_until = 0;
        }
        record.failures = 0;
        record.random = random;
        record.fetched_at = ticket.0;
        let outcome = if stored == body {
            record.write(bytes);
            StoreResult::Unchanged
        } else {
            record.generation = now.max(record.generation.saturating_add(1));
            record.write_with(body, bytes);
            StoreResult::Changed
        };
        Edit {
            changed: true,
            outcome,
        }
    }

    /// Notes that a fetch has failed. `random` is a number that nobody can predict, `retry_after` what
    /// the server asked for, in nanoseconds. The answer is whether it counts: the failure of a fetch
    /// that is no longer the latest does not.
    pub fn fail(
        &self,
        bytes: &mut Vec<u8>,
        ticket: Ticket,
        now: u64,
        random: u64,
        retry_after: Option<u64>,
    ) -> Edit<bool> {
        let record = Record::read(bytes).map(|(record, _)| record);
        let latest = record.filter(|record| record.started_at == ticket.0);
        let Some(mut record) = latest.filter(|record| record.lease_until > 0) else {
            return Edit {
                changed: false,
                outcome: false,
            };
        };
        record.lease_until = 0;
        record.failures = record.failures.saturating_add(1);
        record.failed_at = now;
        record.retry_after = retry_after.unwrap_or(0);
        record.random = random;
        record.write(bytes);
        Edit {
            changed: true,
            outcome: true,
        }
    }

    /// When the document is to be fetched again, failures aside.
    fn refresh_at(&self, record: &Record) -> u64 {
        if record.generation == 0 {
            return 0;
        }
        let tenth = self.refresh / 10;
        let age = self.refresh - 2 * tenth + fraction(tenth, record.random);
        record.fetched_at.saturating_add(age)
    }

    /// When a miss may be a reason to fetch again.
    fn next_miss_at(&self, record: &Record) -> u64 {
        match record.missed_at {
            0 => 0,
            last => last.saturating_add(self.min_refetch_interval),
        }
    }

    /// The end of the pause after a failure.
    fn back_off_until(&self, record: &Record) -> u64 {
        let Some(doublings) = record.failures.checked_sub(1) else {
            return 0;
        };
        let longest = self.refresh.min(LONGEST_BACK_OFF);
        let factor = u32::try_from(doublings)
            .ok()
            .and_then(|n| 1_u64.checked_shl(n));
        let delay = FIRST_BACK_OFF
            .saturating_mul(factor.unwrap_or(u64::MAX))
            .min(longest);
        let delay = delay - fraction(delay / 2, record.random);
        let asked_for = record.retry_after.min(longest);
        record.failed_at.saturating_add(delay.max(asked_for))
    }

    /// What a document that was fetched at this time is good for.
    pub(super) fn freshness(&self, fetched_at: u64, now: u64) -> Freshness {
        let stale_at = fetched_at.saturating_add(self.refresh);
        if now < stale_at {
            Freshness::Fresh
        } else if now < stale_at.saturating_add(self.keep_stale) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

/// A lease that was not held any more, but had not ended: its fetch failed when it ran out.
fn with_abandoned_fetch(record: Record) -> Record {
    match record.lease_until {
        0 => record,
        lease_until => Record {
            lease_until: 0,
            failures: record.failures.saturating_add(1),
            failed_at: lease_until,
            retry_after: 0,
            ..record
        },
    }
}

/// A random part of a whole: from nothing to just below all of it.
fn fraction(whole: u64, random: u64) -> u64 {
    let product = u128::from(whole) * u128::from(random);
    (product >> u64::BITS) as u64
}
