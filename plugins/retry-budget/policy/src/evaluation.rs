//! What is remembered of a request.

use super::BudgetId;
use super::account::Statement;
use super::ledger::Reservation;
use portcullis_core::grpc::Grpc;
use portcullis_core::label::Label;
use portcullis_table::KeyHash;
use portcullis_table::TableEvents;

/// What came of a request, for as long as its stream lives.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub(super) budget: BudgetId,
    pub(super) is_enforced: bool,
    /// Which retry the request is; 0 if it is none, or if that does not matter.
    pub(super) retry: u32,
    /// How many retries it should have, if there were no budget.
    pub(super) wanted: u32,
    /// How many it may have.
    pub(super) granted: u32,
    /// Why that is less, or why the request must not pass.
    pub(super) reason: Option<Reason>,
    pub(super) is_denied: bool,
    pub(super) is_error: bool,
    /// Whose ledger pays.
    pub(super) key: KeyHash,
    /// What was withdrawn for it, until it is settled.
    pub(super) held: Option<Reservation>,
    /// Whether it deposits if it reaches an upstream.
    pub(super) deposits: bool,
    /// For how many more retries there was something when the ledger was last seen.
    pub(super) balance: Option<u32>,
    pub(super) is_settled: bool,
    pub(super) grpc: Option<Grpc>,
    pub(super) stop: Stop,
    pub(super) table: TableEvents,
}

/// Whether the caller is to be told not to send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is known of the response yet, or there is no reason to.
    No,
    /// If the response is a failure.
    IfFailed,
    /// If the trailers say that it is a failure.
    IfTrailersFailed,
}

/// Why a retry is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing left in the budget.
    BudgetEmpty,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The budget could not be read or written.
    Unavailable,
    /// The path can be read in several ways, which fall under different budgets.
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

    /// Whether the request is a retry, and counts as one.
    pub fn is_inbound_retry(&self) -> bool {
        self.retry > 0
    }

    /// Why the request must not pass; in shadow mode, why it would not.
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

    /// For how many more retries there is something in the budget; unknown if it could not be read.
    pub fn balance(&self) -> Option<u32> {
        self.balance
    }

    /// What the request did to the budget's table.
    pub fn table(&self) -> TableEvents {
        self.table
    }

    /// Remembers what was withdrawn, and says how many retries that are.
    pub(super) fn hold(&mut self, reserved: Reservation, statement: Statement) -> u32 {
        self.balance = Some(statement.balance);
        self.table = statement.table;
        self.held = (reserved.retries() > 0).then_some(reserved);
        reserved.retries()
    }

    /// Whether the request may have fewer retries than it should.
    pub(super) fn is_short(&self) -> bool {
        self.granted < self.wanted
    }

    /// Whether there is nothing for another retry.
    pub(super) fn is_exhausted(&self) -> bool {
        self.reason.is_some() || self.balance == Some(0)
    }
}
