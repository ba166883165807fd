//! A key's ledger in its block of the table.

use super::ledger::{Ledger, Reservation, Rules};
use portcullis_table::{Block, Edit, TableEvents, WhenFull};

/// The ledger of one key, at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) rules: Rules,
    pub(super) now: u64,
    /// Of the key, in its block.
    pub(super) tag: u64,
}

/// Something that withdraws from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A request, which reserves as many of these retries as it can have.
    Request { wanted: u32 },
    /// A retry by somebody else, which reserves itself if that is possible.
    InboundRetry,
    /// A retry by somebody else, which is charged in any case.
    CountedRetry,
}

/// What comes of a request when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// Whether it deposits.
    pub(super) deposits: bool,
    /// What was reserved for it, and how many retries of that go back.
    pub(super) unused: Option<(Reservation, u32)>,
}

/// The ledger after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// For how many more retries there is something.
    pub(super) balance: u32,
    pub(super) table: TableEvents,
}

impl Account {
    /// Withdraws, and says what. The ledger is written only if something was there.
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

    /// Gives back what was not used, and deposits. A ledger that was evicted has forgotten what was
    /// reserved, and begins again only for a deposit.
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

    /// Lets `change` change the ledger; it learns whether the table has it, and says whether to write
    /// it.
    fn edit<T>(
        &self,
        bytes: &mut Vec<u8>,
        change: impl FnOnce(&mut Ledger, bool) -> (bool, T),
    ) -> Edit<(T, Statement)> {
        let Self { rules, now, tag } = self;
        let mut block = Block::<Ledger>::new(bytes);
        let malformed = block.was_malformed();
        let harm = |ledger: Ledger| ledger.at(rules, *now).events();
        let update = block.update(*tag, WhenFull::Forgive, harm, |ledger| {
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
