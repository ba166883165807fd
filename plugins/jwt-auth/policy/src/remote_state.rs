//! What one worker knows of a remote document, and when it looks for context.
//!
//! A worker looks about once a second, more often at a document that is fetched more often (see
//! [`period`]), and at every tick while requests wait for the document. It reads the shared value then, and
//! asks the [schedule](crate::remote) whether to fetch.

use crate::remote::{Acquired, Schedule, Ticket, Trigger, View};
use portcullis_table::Edit;

/// How long between two looks at a document that is fetched now and then, if nobody waits.
const PERIOD: u64 = 1_000_000_000;

/// The same of one that is fetched often.
const SHORT_PERIOD: u64 = PERIOD / 4;

/// A shorter `refresh` than this is often. A change is in effect within `refresh` and a second: after at
/// most nine tenths of `refresh`, one tick, the fetch, and one more tick of another worker. From here on, a
/// tenth and a second leave two seconds for the ticks, and at least one for the fetch.
const OFTEN: u64 = 20 * PERIOD;

/// How long between two looks at a document, in nanoseconds.
pub(super) fn poll_period(schedule: &Schedule) -> u64 {
    match schedule.refresh < OFTEN {
        true => SHORT_PERIOD,
        false => PERIOD,
    }
}

/// One remote document, as a worker sees it.
#[derive(Debug)]
pub(super) struct RemoteState {
    schedule: Schedule,
    /// Of the document that the worker has; without its body.
    view: View<'static>,
    /// Whether a request needs what the document does not have.
    is_wanted: bool,
    /// Nobody fetches because of that before this time.
    not_before: u64,
    next_poll: u64,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteEvent {
    /// Nothing that matters.
    Nothing,
    /// The document is another one.
    Changed,
    /// It is time to fetch, and this worker is the one to do it.
    Fetch(Ticket),
    /// What requests wait for does not come soon.
    Postponed,
}

impl RemoteState {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            view: View::read(&[]),
            is_wanted: false,
            not_before: 0,
            next_poll: 0,
        }
    }

    /// Notes that a request needs what the document does not have.
    pub(super) fn request_fetch(&mut self) {
        self.is_wanted = true;
    }

    /// For how long nobody fetches.
    pub(super) fn fetch_in(&self, now: u64) -> u64 {
        self.not_before.saturating_sub(now)
    }

    /// Whether the document may be used.
    pub(super) fn is_usable(&self, now: u64) -> bool {
        self.view.freshness(&self.schedule, now).is_usable()
    }

    /// How old the document is, in nanoseconds.
    pub(super) fn age(&self, now: u64) -> Option<u64> {
        self.view.age(now)
    }

    /// How long a request waits at most.
    pub(super) fn timeout(&self) -> u64 {
        self.schedule.timeout
    }

    /// Lets the next look be now: a fetch has ended.
    pub(super) fn poll_soon(&mut self) {
        self.next_poll = 0;
    }

    /// Whether to look now.
    pub(super) fn is_poll_due(&self, now: u64) -> bool {
        // A clock that went back must not put it off.
        let is_planned =
            now >= self.next_poll || self.next_poll - now > poll_period(&self.schedule);
        is_planned || (self.is_wanted && now >= self.not_before)
    }

    /// Looks at the shared value.
    pub(super) fn poll(&mut self, bytes: &mut Vec<u8>, now: u64) -> Edit<RemoteEvent> {
        // Ticks are not exact: one that comes a little early is not to wait for the next.
        self.next_poll = now.saturating_add(poll_period(&self.schedule) / 4 * 3);
        let trigger = match self.is_wanted {
            true => Trigger::Miss,
            false => Trigger::Due,
        };
        let stored = without_body(&View::read(bytes));
        // If the value is lost, what this worker has is as good as before.
        let known = self.view.generation.min(stored.generation);
        if stored.generation > 0 {
            self.view = stored;
        }
        let Edit { changed, outcome } = self.schedule.acquire(bytes, known, trigger, now);
        let seen = match (outcome, trigger) {
            (Acquired::Fetch { ticket, .. }, _) => RemoteEvent::Fetch(ticket),
            (Acquired::Changed, _) => {
                self.is_wanted = false;
                self.not_before = 0;
                RemoteEvent::Changed
            }
            (Acquired::NotBefore(at), Trigger::Miss) => {
                self.is_wanted = false;
                self.not_before = at;
                RemoteEvent::Postponed
            }
            (Acquired::NotBefore(_) | Acquired::Held { .. }, _) => RemoteEvent::Nothing,
        };
        Edit {
            changed,
            outcome: seen,
        }
    }
}

fn without_body(view: &View<'_>) -> View<'static> {
    View {
        generation: view.generation,
        body: &[],
        fetched_at: view.fetched_at,
        failures: view.failures,
        was_malformed: view.was_malformed,
    }
}
