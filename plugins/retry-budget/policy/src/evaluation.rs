//! The decision on a request, kept for as long as its stream lives.

use super::BudgetId;
use super::account::Statement;
use super::ledger::Reservation;
use super::stop_signal::StopSignal;
use portcullis_core::grpc::Grpc;
use portcullis_core::label::Label;
use portcullis_table::{KeyHash, TableEvents};

/// The decision on a request, kept for as long as its stream lives.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub(super) budget: BudgetId,
    pub(super) is_enforced: bool,
    /// The number of the retry that the request is; 0 if it is no retry, or if that does not matter.
    pub(super) retry: u32,
    /// How many retries it would have without a budget.
    pub(super) wanted: u32,
    /// How many retries it may have.
    pub(super) granted: u32,
    /// Why that is less, or why the request is denied.
    pub(super) reason: Option<Reason>,
    pub(super) is_denied: bool,
    pub(super) is_error: bool,
    /// The key of the ledger that pays.
    pub(super) key: KeyHash,
    /// The retries that are withdrawn for it, until its use is recorded.
    pub(super) held: Option<Reservation>,
    /// Whether it deposits if it reaches an upstream.
    pub(super) deposits: bool,
    /// How many more retries the ledger paid for when it was last read.
    pub(super) balance: Option<u32>,
    pub(super) is_recorded: bool,
    pub(super) grpc: Option<Grpc>,
    pub(super) stop_signal: StopSignal,
    pub(super) table: TableEvents,
}

/// Why a retry is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The budget is empty.
    BudgetEmpty,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The budget could not be read or written.
    Unavailable,
    /// The path has readings that belong to different budgets.
    Ambiguous,
}

/// The value of the metric label `reason`.
impl Label for Reason {
    const ALL: &'static [Self] = &[
        Self::BudgetEmpty,
        Self::BreakerOpen,
        Self::Unavailable,
        Self::Ambiguous,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::BudgetEmpty => "budget_empty",
            Self::BreakerOpen => "breaker_open",
            Self::Unavailable => "unavailable",
            Self::Ambiguous => "ambiguous",
        }
    }
}

impl Evaluation {
    /// The budget that decided.
    pub fn budget(&self) -> BudgetId {
        self.budget
    }

    /// Whether the decision is carried out. In shadow mode it is only counted.
    pub fn is_enforced(&self) -> bool {
        self.is_enforced
    }

    /// Whether the request is a retry and counts as one.
    pub fn is_inbound_retry(&self) -> bool {
        self.retry > 0
    }

    /// Why the request is denied; in shadow mode, why it would be.
    pub fn denial(&self) -> Option<Reason> {
        self.reason.filter(|_| self.is_denied)
    }

    /// How many retries the request may have.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// Whether the ledger could not be read or written, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// How many more retries the budget pays for. `None` if it could not be read.
    pub fn balance(&self) -> Option<u32> {
        self.balance
    }

    /// Side effects on the table of the budget.
    pub fn table(&self) -> TableEvents {
        self.table
    }

    /// Keeps a reservation, and returns its number of retries.
    pub(super) fn hold(&mut self, reserved: Reservation, statement: Statement) -> u32 {
        self.balance = Some(statement.balance);
        self.table = statement.table;
        self.held = (reserved.retries() > 0).then_some(reserved);
        reserved.retries()
    }

    /// Whether the request may have fewer retries than it should have.
    pub(super) fn is_short(&self) -> bool {
        self.granted < self.wanted
    }

    /// Whether the budget does not pay for another retry.
    pub(super) fn is_exhausted(&self) -> bool {
        self.reason.is_some() || self.balance == Some(0)
    }
}
