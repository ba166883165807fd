//! Documents that are fetched from elsewhere.

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

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;

const START: u64 = 1_700_000_000 * SECOND;

const SCHEDULE: Schedule = Schedule {
    refresh: 10 * MINUTE,
    keep_stale: 24 * 60 * MINUTE,
    min_refetch_interval: 30 * SECOND,
    timeout: 2 * SECOND,
};

/// A value in shared data, and a clock. Nothing is random: every pause has its full length.
struct World {
    value: Vec<u8>,
    schedule: Schedule,
    now: u64,
}

impl World {
    fn new() -> Self {
        Self {
            value: Vec::new(),
            schedule: SCHEDULE,
            now: START,
        }
    }

    /// A world in which this document was fetched just now.
    fn with(body: &[u8]) -> Self {
        let mut world = Self::new();
        let ticket = world.fetch(Trigger::Due);
        assert_eq!(world.succeed(ticket, body), StoreResult::Changed);
        world
    }

    /// Does what the host does, and checks that a change is called one.
    fn edit<T>(&mut self, edit: impl Fn(&Schedule, &mut Vec<u8>, u64) -> Edit<T>) -> T {
        let before = self.value.clone();
        let Edit { changed, outcome } = edit(&self.schedule, &mut self.value, self.now);
        assert!(changed || self.value == before);
        outcome
    }

    /// What a worker is told that knows what is stored.
    fn acquire(&mut self, trigger: Trigger) -> Acquired {
        self.acquire_knowing(self.view().generation, trigger)
    }

    fn acquire_knowing(&mut self, known: u64, trigger: Trigger) -> Acquired {
        self.edit(|schedule, value, now| schedule.acquire(value, known, trigger, now))
    }

    /// Acquires, which must mean to fetch.
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

    fn fail_with(&mut self, ticket: Ticket, random: u64, retry_after: Option<u64>) -> bool {
        self.edit(|schedule, value, now| schedule.fail(value, ticket, now, random, retry_after))
    }

    fn view(&self) -> View<'_> {
        View::read(&self.value)
    }

    fn freshness(&self) -> Freshness {
        self.view().freshness(&self.schedule, self.now)
    }

    /// Lets time go by until the next fetch, which is started; returns how long that took.
    #[track_caller]
    fn wait(&mut self, trigger: Trigger) -> (u64, Ticket) {
        let start = self.now;
        match self.acquire(trigger) {
            Acquired::NotBefore(time) | Acquired::Held { until: time } => {
                self.now = time - 1;
                assert!(!matches!(self.acquire(trigger), Acquired::Fetch { .. }));
                self.now = time;
            }
            other => panic!("{other:?}"),
        }
        (self.now - start, self.fetch(trigger))
    }
}
