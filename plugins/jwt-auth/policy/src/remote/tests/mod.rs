//! Remote documents.

#[cfg(not(target_arch = "wasm32"))]
mod concurrency;
mod document;
mod fetching;
mod layout;
mod model;
mod source;
mod uri;

use super::*;
use portcullis_table::Edit;

const MILLISECOND: Nanos = Nanos::MILLISECOND;
const SECOND: Nanos = Nanos::SECOND;
const MINUTE: Nanos = Nanos::from_secs(60);
const NANO: Nanos = Nanos::new(1);

const START: Nanos = Nanos::from_secs(1_700_000_000);

const SCHEDULE: Schedule = Schedule {
    refresh: Nanos::from_secs(600),
    keep_stale: Nanos::from_secs(86_400),
    min_refetch_interval: Nanos::from_secs(30),
    timeout: Nanos::from_secs(2),
};

/// A value in shared data, and a clock. The random number is 0: every pause has its full length.
struct World {
    value: Vec<u8>,
    schedule: Schedule,
    now: Nanos,
}

impl World {
    fn new() -> Self {
        Self {
            value: Vec::new(),
            schedule: SCHEDULE,
            now: START,
        }
    }

    /// A world in which this document has just been fetched.
    fn with(body: &[u8]) -> Self {
        let mut world = Self::new();
        let ticket = world.fetch(Trigger::Due);
        assert_eq!(world.succeed(ticket, body), StoreResult::Changed);
        world
    }

    /// Applies an edit as the host does, and checks that it reports a change.
    fn edit<T>(&mut self, edit: impl Fn(&Schedule, &mut Vec<u8>, Nanos) -> Edit<T>) -> T {
        let before = self.value.clone();
        let Edit { changed, outcome } = edit(&self.schedule, &mut self.value, self.now);
        assert!(changed || self.value == before);
        outcome
    }

    /// The answer to a worker that knows the stored document.
    fn acquire(&mut self, trigger: Trigger) -> Acquired {
        self.acquire_knowing(self.view().generation, trigger)
    }

    fn acquire_knowing(&mut self, known: u64, trigger: Trigger) -> Acquired {
        self.edit(|schedule, value, now| schedule.acquire(value, known, trigger, now))
    }

    /// Acquires; the answer must be to fetch.
    #[track_caller]
    fn fetch(&mut self, trigger: Trigger) -> Ticket {
        match self.acquire(trigger) {
            Acquired::Fetch { ticket, .. } => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn succeed(&mut self, ticket: Ticket, body: &[u8]) -> StoreResult {
        self.edit(|schedule, value, now| schedule.succeed(value, ticket, now, body, 0))
    }

    fn fail(&mut self, ticket: Ticket) -> bool {
        self.fail_with(ticket, 0, None)
    }

    fn fail_with(&mut self, ticket: Ticket, random: u64, retry_after: Option<Nanos>) -> bool {
        self.edit(|schedule, value, now| schedule.fail(value, ticket, now, random, retry_after))
    }

    fn view(&self) -> View<'_> {
        View::read(&self.value)
    }

    fn freshness(&self) -> Freshness {
        self.view().freshness(&self.schedule, self.now)
    }

    /// Advances the clock to the next fetch and starts it; returns the time until then.
    #[track_caller]
    fn wait(&mut self, trigger: Trigger) -> (Nanos, Ticket) {
        let start = self.now;
        match self.acquire(trigger) {
            Acquired::NotBefore(time) | Acquired::Held { until: time } => {
                self.now = time - NANO;
                assert!(!matches!(self.acquire(trigger), Acquired::Fetch { .. }));
                self.now = time;
            }
            other => panic!("{other:?}"),
        }
        (self.now - start, self.fetch(trigger))
    }
}
