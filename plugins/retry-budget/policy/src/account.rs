//! The ledger of a key in its block of the table.

use super::ledger::{Ledger, Reservation, Rules};
use portcullis_core::time::Nanos;
use portcullis_table::{Block, Edit, TableEvents, WhenFull};

/// The ledger of one key, at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) rules: Rules,
    pub(super) now: Nanos,
    /// The tag of the key in its block.
    pub(super) tag: u64,
}

/// A withdrawal from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A request, which reserves as many of these retries as possible.
    Request { wanted: u32 },
    /// A caller's retry, which is reserved if possible.
    InboundRetry,
    /// A caller's retry, which is charged in any case.
    CountedRetry,
}

/// The last entry for a request, when its use is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// Whether the request deposits.
    pub(super) deposits: bool,
    /// Its reservation, and how many retries of it are refunded.
    pub(super) unused: Option<(Reservation, u32)>,
}

/// The ledger after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// How many more retries it pays for.
    pub(super) balance: u32,
    pub(super) table: TableEvents,
}

impl Account {
    /// Withdraws retries, and returns the reservation. The ledger is written only if there were retries to withdraw.
    pub(super) fn enter(
        &self,
        entry: Entry,
        bytes: &mut Vec<u8>,
    ) -> Edit<(Reservation, Statement)> {
        self.edit(bytes, |ledger, _| {
            let rules = &self.rules;
            let wanted = match entry {
                Entry::Request { wanted } => wanted,
                Entry::InboundRetry | Entry::CountedRetry => 1,
            };
            let mut reserved = ledger.withdraw(rules, wanted);
            if entry == Entry::CountedRetry && reserved.retries() == 0 {
                reserved = ledger.overdraw(wanted);
            }
            (reserved.retries() > 0, reserved)
        })
    }

    /// Refunds unused retries, and deposits. An evicted ledger has no record of the reservation, and starts again only
    /// with a deposit.
    pub(super) fn close(&self, closing: Closing, bytes: &mut Vec<u8>) -> Edit<Statement> {
        let edit = self.edit(bytes, |ledger, is_kept| {
            if let Some((reserved, retries)) = closing.unused {
                ledger.refund(&reserved, retries);
            }
            if closing.deposits {
                ledger.deposit();
            }
            (closing.deposits || is_kept, ())
        });
        let Edit {
            changed,
            outcome: ((), statement),
        } = edit;
        Edit {
            changed,
            outcome: statement,
        }
    }

    /// Changes the ledger. `change` learns whether the table has the ledger, and returns whether to write it.
    fn edit<T>(
        &self,
        bytes: &mut Vec<u8>,
        change: impl FnOnce(&mut Ledger, bool) -> (bool, T),
    ) -> Edit<(T, Statement)> {
        let Self { rules, now, tag } = self;
        let mut block = Block::<Ledger>::new(bytes);
        let malformed = block.was_malformed();
        let eviction_cost = |ledger: Ledger| ledger.at(rules, *now).eviction_cost();
        let update = block.update(*tag, WhenFull::Forgive, eviction_cost, |ledger| {
            let is_kept = ledger != Ledger::default();
            let mut ledger = ledger.at(rules, *now);
            let (is_written, outcome) = change(&mut ledger, is_kept);
            let balance = ledger.balance(rules);
            (is_written.then_some(ledger), (outcome, balance))
        });
        let (outcome, balance) = update.outcome;
        let statement = Statement {
            balance,
            table: TableEvents {
                occupied: update.occupied,
                evicted: update.evicted.is_some(),
                malformed,
            },
        };
        Edit {
            changed: update.changed || malformed,
            outcome: (outcome, statement),
        }
    }
}
