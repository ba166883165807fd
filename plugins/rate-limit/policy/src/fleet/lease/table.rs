//! Leases in the shared table.

use portcullis_core::time::Nanos;
use portcullis_table::{Block, Edit, TableEvents, WhenFull};

use super::{Ended, Lease, Leases, Step};

/// The result of an operation on a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<T> {
    /// The outcome of the operation.
    pub outcome: T,
    /// Tokens that were counted by the service and can no longer be used, including those of an evicted key.
    pub wasted: u32,
    /// The lease that the operation ended. An evicted one does not count.
    pub ended: Option<Ended>,
    /// The effects on the table.
    pub events: TableEvents,
}

impl Leases {
    /// Applies an operation to the key with this tag, in a block of the table.
    ///
    /// An evicted key loses its tokens and must ask the service again. It gains a debt that is forgotten, so keys with
    /// debts are evicted last ([`Leases::eviction_cost`]).
    pub fn apply<T>(
        &self,
        block: &mut Vec<u8>,
        tag: u64,
        now: Nanos,
        operation: impl FnOnce(Lease) -> Step<T>,
    ) -> Edit<Applied<T>> {
        let mut block = Block::new(block);
        let malformed = block.was_malformed();
        let cost = |lease| self.eviction_cost(lease, now);
        let update = block.update(tag, WhenFull::Forgive, cost, |old| {
            let step = operation(old);
            let changed = (step.lease != old).then_some(step.lease);
            let ended = old.ended(&step.lease, now);
            (changed, (step.outcome, step.wasted, ended))
        });
        let (outcome, wasted, ended) = update.outcome;
        let lost = update.evicted.map_or(0, Lease::tokens);
        Edit {
            changed: update.changed || malformed,
            outcome: Applied {
                outcome,
                wasted: wasted.saturating_add(lost),
                ended,
                events: TableEvents {
                    occupied: update.occupied,
                    evicted: update.evicted.is_some(),
                    malformed,
                },
            },
        }
    }
}
