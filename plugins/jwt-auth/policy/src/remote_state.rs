//! A worker's view of a remote document, and when the worker polls its shared value.
//!
//! A worker polls once a second, or four times a second if `refresh` is short (see [`poll_period`]), and at every
//! tick while requests wait for the document. A poll reads the shared value and asks the
//! [schedule](crate::remote) whether to fetch.

use crate::remote::{Acquired, Schedule, Ticket, Trigger, View};
use crate::state::Role;
use portcullis_core::time::Nanos;
use portcullis_table::Edit;

/// Time between two polls if no request waits.
const PERIOD: Nanos = Nanos::SECOND;

/// Time between two polls of a document with a short `refresh`.
const SHORT_PERIOD: Nanos = Nanos::from_millis(250);

/// A `refresh` below this is short. A change takes effect within `refresh` and a second: at most nine tenths of
/// `refresh`, one tick, the fetch, and one tick of another worker. With this `refresh` or a longer one, the
/// remaining tenth and second leave two seconds for the ticks and at least one for the fetch.
const SHORT_REFRESH: Nanos = Nanos::from_secs(20);

/// Time between two polls of a document.
pub(super) fn poll_period(schedule: &Schedule) -> Nanos {
    match schedule.refresh < SHORT_REFRESH {
        true => SHORT_PERIOD,
        false => PERIOD,
    }
}

/// One remote document, as a worker sees it.
#[derive(Debug)]
pub(super) struct RemoteState {
    schedule: Schedule,
    /// The document that the worker has installed, without its body.
    view: View<'static>,
    /// Whether a request needs something that the document lacks.
    is_wanted: bool,
    /// A request for a fetch has no effect before this time.
    not_before: Nanos,
    next_poll: Nanos,
}

/// The result of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteEvent {
    /// Nothing changed.
    Nothing,
    /// Another document is stored.
    Changed,
    /// A fetch is due, and this worker holds the lease for it.
    Fetch(Ticket),
    /// A request needs a fetch, which another worker has to start.
    Wanted,
    /// The document that requests wait for will not come soon.
    Postponed,
}

impl RemoteState {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            view: View::read(&[]),
            is_wanted: false,
            not_before: Nanos::ZERO,
            next_poll: Nanos::ZERO,
        }
    }

    /// Notes that a request needs something that the document lacks.
    pub(super) fn request_fetch(&mut self) {
        self.is_wanted = true;
    }

    /// Time until a fetch is allowed.
    pub(super) fn fetch_in(&self, now: Nanos) -> Nanos {
        self.not_before - now
    }

    /// Whether the document may be used.
    pub(super) fn is_usable(&self, now: Nanos) -> bool {
        self.view.freshness(&self.schedule, now).is_usable()
    }

    /// The age of the document.
    pub(super) fn age(&self, now: Nanos) -> Option<Nanos> {
        self.view.age(now)
    }

    /// The longest wait of a request.
    pub(super) fn timeout(&self) -> Nanos {
        self.schedule.timeout
    }

    /// Makes the next poll due at once: a fetch has ended.
    pub(super) fn poll_soon(&mut self) {
        self.next_poll = Nanos::ZERO;
    }

    /// Whether to poll now.
    pub(super) fn is_poll_due(&self, now: Nanos) -> bool {
        // A clock that went back must not delay the poll.
        let is_planned =
            now >= self.next_poll || self.next_poll - now > poll_period(&self.schedule);
        is_planned || (self.is_wanted && now >= self.not_before)
    }

    /// Reads the shared value.
    pub(super) fn poll(
        &mut self,
        bytes: &mut Vec<u8>,
        now: Nanos,
        role: Role,
    ) -> Edit<RemoteEvent> {
        // Ticks are not exact: a tick that comes slightly early must not wait for the next one.
        self.next_poll = now + poll_period(&self.schedule) / 4 * 3;
        let trigger = match self.is_wanted {
            true => Trigger::Miss,
            false => Trigger::Due,
        };
        let stored = without_body(&View::read(bytes));
        // If the value is lost, the installed document stays valid.
        let known = self.view.generation.min(stored.generation);
        if stored.generation > 0 {
            self.view = stored;
        }
        let before = (role == Role::Follower).then(|| bytes.clone());
        let Edit { changed, outcome } = self.schedule.acquire(bytes, known, trigger, now);
        if let (Acquired::Fetch { .. }, Some(before)) = (&outcome, before) {
            // The fetcher takes the lease, and knows itself when a fetch is due without a miss.
            *bytes = before;
            return Edit {
                changed: false,
                outcome: match trigger {
                    Trigger::Miss => RemoteEvent::Wanted,
                    Trigger::Due => RemoteEvent::Nothing,
                },
            };
        }
        let event = match (outcome, trigger) {
            (Acquired::Fetch { ticket, .. }, _) => RemoteEvent::Fetch(ticket),
            (Acquired::Changed, _) => {
                self.is_wanted = false;
                self.not_before = Nanos::ZERO;
                RemoteEvent::Changed
            }
            (Acquired::NotBefore(time), Trigger::Miss) => {
                self.is_wanted = false;
                self.not_before = time;
                RemoteEvent::Postponed
            }
            (Acquired::NotBefore(_) | Acquired::Held { .. }, _) => RemoteEvent::Nothing,
        };
        Edit {
            changed,
            outcome: event,
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
