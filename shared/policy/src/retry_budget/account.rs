//! A key's ledger in its block of the table.

use super::ledger::{Ledger, Reservation, Rules};
use crate::table::{Block, Edit, WhenFull};

/// The ledger of one key, at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) rules: Rules,
    pub(super) now: u64,
    /// Of the key, in its block.
    pub(super) tag: u64,
}

/// Something to enter into the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A request, which deposits, and reserves as many of these retries as it can have.
    Request { wanted: u32 },
    /// A retry by somebody else, which reserves itself if that is possible.
    InboundRetry,
    /// A retry by somebody else, which is charged in any case.
    CountedRetry,
}

/// The ledger after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// What was reserved.
    pub(super) reserved: Reservation,
    /// For how many more retries there is something.
    pub(super) balance: u32,
    pub(super) table: TableEvents,
}

/// What an entry did to its table, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableEvents {
    /// A slot was taken that was never used before.
    pub occupied: bool,
    /// A key had to make room although there was something in its ledger.
    pub evicted: bool,
    /// The block could not be read, and was started anew.
    pub malformed: bool,
}

impl Account {
    pub(super) fn enter(&self, entry: Entry, bytes: &mut Vec<u8>) -> Edit<Statement> {
        let Self { rules, now, tag } = self;
        let mut block = Block::<Ledger>::new(bytes);
        let malformed = block.was_malformed();
        let harm = |ledger: Ledger| ledger.at(rules, *now).events();
        let update = block.update(*tag, WhenFull::Forgive, harm, |ledger| {
            let mut ledger = ledger.at(rules, *now);
            let wanted = match entry {
                Entry::Request { wanted } => {
                    ledger.deposit();
                    wanted
                }
                Entry::InboundRetry | Entry::CountedRetry => 1,
            };
            let mut reserved = ledger.withdraw(rules, wanted);
            if entry == Entry::CountedRetry && reserved.retries() == 0 {
                reserved = ledger.overdraw(wanted);
            }
            let is_refused = entry == Entry::InboundRetry && reserved.retries() == 0;
            let outcome = (reserved, ledger.balance(rules));
            ((!is_refused).then_some(ledger), outcome)
        });
        let (reserved, balance) = update.outcome;
        Edit {
            changed: update.changed || malformed,
            outcome: Statement {
                reserved,
                balance,
                table: TableEvents {
                    occupied: update.occupied,
                    evicted: update.evicted.is_some(),
                    malformed,
                },
            },
        }
    }

    /// Gives back so many retries of a reservation. A ledger that was evicted has forgotten them.
    pub(super) fn refund(
        &self,
        reserved: Reservation,
        retries: u32,
        bytes: &mut Vec<u8>,
    ) -> Edit<Statement> {
        let Self { rules, now, tag } = self;
        let mut block = Block::<Ledger>::new(bytes);
        let malformed = block.was_malformed();
        let changed = block.amend(*tag, |ledger| {
            let mut ledger = ledger.at(rules, *now);
            ledger.refund(&reserved, retries);
            ledger
        });
        let ledger = block.get(*tag).unwrap_or_default().at(rules, *now);
        Edit {
            changed: changed || malformed,
            outcome: Statement {
                reserved,
                balance: ledger.balance(rules),
                table: TableEvents {
                    malformed,
                    ..TableEvents::default()
                },
            },
        }
    }
}
