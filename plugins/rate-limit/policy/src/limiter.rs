//! Operations of a limit's algorithm on a block of the table.

use super::algorithm::{Algorithm, FixedWindow, Gcra, SlidingWindow};
use super::fleet::lease::Room;
use portcullis_core::time::Nanos;
use portcullis_table::{Block, Edit, MemoryUse, TableEvents, WhenFull};

/// The algorithm of a limit, with its parameters.
#[derive(Clone, Debug)]
pub(super) enum Limiter {
    Gcra(Gcra),
    SlidingWindow(SlidingWindow),
    FixedWindow(FixedWindow),
}

impl Limiter {
    /// The cost that an unused key admits at once.
    pub(super) fn capacity(&self) -> u32 {
        match self {
            Self::Gcra(gcra) => gcra.capacity(),
            Self::SlidingWindow(window) => window.capacity(),
            Self::FixedWindow(window) => window.capacity(),
        }
    }

    /// The same algorithm for another number of requests, at least 1, in the same period; the burst of GCRA is that
    /// number. `None` if a burst would take more than ten years to recover.
    pub(super) fn with_requests(&self, requests: u32, per: Nanos) -> Option<Self> {
        Some(match self {
            Self::Gcra(_) => Self::Gcra(Gcra::new(requests, per, requests)?),
            Self::SlidingWindow(_) => Self::SlidingWindow(SlidingWindow::new(requests, per)),
            Self::FixedWindow(_) => Self::FixedWindow(FixedWindow::new(requests, per)),
        })
    }

    /// The memory of a full table with this number of blocks.
    pub(super) fn memory(&self, blocks: u32) -> MemoryUse {
        match self {
            Self::Gcra(_) => MemoryUse::of_table::<<Gcra as Algorithm>::State>(blocks),
            Self::SlidingWindow(_) => {
                MemoryUse::of_table::<<SlidingWindow as Algorithm>::State>(blocks)
            }
            Self::FixedWindow(_) => {
                MemoryUse::of_table::<<FixedWindow as Algorithm>::State>(blocks)
            }
        }
    }

    /// Applies an operation to a block.
    pub(super) fn apply(&self, operation: Operation, block: &mut Vec<u8>) -> Edit<OperationResult> {
        match self {
            Self::Gcra(gcra) => operation.apply(gcra, block),
            Self::SlidingWindow(window) => operation.apply(window, block),
            Self::FixedWindow(window) => operation.apply(window, block),
        }
    }
}

/// An operation on the state of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) action: Action,
    /// In requests; at most the capacity, except for a charge or a refund.
    pub(super) cost: u32,
    pub(super) now: Nanos,
    /// The tag of the key in its block.
    pub(super) tag: u64,
    pub(super) when_full: WhenFull,
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Spend the cost if it is admitted.
    Reserve,
    /// Only find out whether the cost is admitted.
    Inspect,
    /// Spend the cost, admitted or not.
    Charge,
    /// Count the cost as used, with what is used already as part of it.
    RaiseTo,
    /// Return the cost, which was spent at this time.
    Refund { spent_at: Nanos },
}

/// The state of a key after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperationResult {
    /// The time until the cost is admitted; 0 if it is admitted now.
    pub(super) wait: Nanos,
    pub(super) quota: Quota,
    pub(super) events: LimitEvents,
}

/// The remaining part of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// The cost that an unused key admits at once.
    pub(super) capacity: u32,
    /// The largest cost that is admitted now.
    pub(super) remaining: u32,
    /// The time until more remains; 0 if nothing is used.
    pub(super) reset_after: Nanos,
}

/// The effects of an operation on the limit's table, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitEvents {
    /// The effects that operations have on any table.
    pub table: TableEvents,
    /// The usage of the evicted key that is forgiven, in requests at the rate of the request that evicts it.
    pub forgiven: u32,
}

impl Operation {
    fn apply<A: Algorithm>(self, algorithm: &A, bytes: &mut Vec<u8>) -> Edit<OperationResult> {
        let Self {
            cost,
            now,
            tag,
            when_full,
            ..
        } = self;
        let mut block = Block::new(bytes);
        let mut events = LimitEvents {
            table: TableEvents {
                malformed: block.was_malformed(),
                ..TableEvents::default()
            },
            forgiven: 0,
        };
        if let Action::Refund { spent_at } = self.action {
            let refund = |state| algorithm.refund(state, now, cost, spent_at);
            let changed = block.amend(tag, refund);
            let state = block.get(tag).unwrap_or_default();
            let outcome = OperationResult {
                wait: Nanos::ZERO,
                quota: Quota::of(algorithm, state, now),
                events,
            };
            return Edit {
                changed: changed || events.table.malformed,
                outcome,
            };
        }
        let eviction_cost = |state| algorithm.used(state, now);
        let update = block.update(tag, when_full, eviction_cost, |old| {
            // A cost of 0 is always admitted.
            let wait = match self.action {
                Action::Reserve | Action::Inspect if cost > 0 => algorithm.wait(old, now, cost),
                _ => Nanos::ZERO,
            };
            let new = match self.action {
                Action::Inspect => None,
                _ if cost == 0 || wait > Nanos::ZERO => None,
                Action::RaiseTo => Some(algorithm.raise(old, now, cost)),
                _ => Some(algorithm.spend(old, now, cost)),
            };
            let quota = Quota::of(algorithm, new.unwrap_or(old), now);
            (new, (wait, quota))
        });
        let (wait, quota) = update.outcome;
        events.table.occupied = update.occupied;
        if let Some(victim) = update.evicted {
            events.table.evicted = true;
            events.forgiven = match when_full {
                WhenFull::Forgive => {
                    let remaining = algorithm.remaining(victim, now);
                    algorithm.capacity().saturating_sub(remaining)
                }
                WhenFull::Strict => 0,
            };
        }
        Edit {
            changed: update.changed || events.table.malformed,
            outcome: OperationResult {
                wait,
                quota,
                events,
            },
        }
    }
}

impl Quota {
    /// The quota of a limit that admits nothing.
    pub(super) fn none(reset_after: Nanos) -> Self {
        Self {
            capacity: 0,
            remaining: 0,
            reset_after,
        }
    }

    /// The limit of a service, the hits that are left there, and the time until its window ends.
    pub(super) fn of_service((capacity, remaining, reset_after): (u32, u32, Nanos)) -> Self {
        Self {
            capacity,
            remaining: remaining.min(capacity),
            reset_after: match remaining < capacity {
                true => reset_after,
                false => Nanos::ZERO,
            },
        }
    }

    /// What may pass without a service.
    pub(super) fn of_room(room: Room, now: Nanos) -> Self {
        Self::of_service((room.limit, room.left, room.ends - now))
    }

    /// The same quota with nothing left.
    pub(super) fn used_up(self) -> Self {
        Self {
            remaining: 0,
            ..self
        }
    }

    /// This quota, or the other one if less is left there.
    pub(super) fn or_tighter(self, other: Self) -> Self {
        match other.remaining < self.remaining {
            true => other,
            false => self,
        }
    }

    /// Whether at least 80 % of the capacity is used.
    pub(super) fn is_nearly_used(&self) -> bool {
        u64::from(self.remaining) * 5 <= u64::from(self.capacity)
    }

    fn of<A: Algorithm>(algorithm: &A, state: A::State, now: Nanos) -> Self {
        let capacity = algorithm.capacity();
        let remaining = algorithm.remaining(state, now);
        let reset_after = match remaining < capacity {
            true => algorithm.wait(state, now, remaining + 1),
            false => Nanos::ZERO,
        };
        Self {
            capacity,
            remaining,
            reset_after,
        }
    }
}
