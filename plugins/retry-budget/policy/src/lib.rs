//! How many retries there may be: enough for single failures, too few for a storm.
//!
//! When a service fails, retries multiply the load on it just then: three retries at each of two hops
//! make sixteen requests of one. A budget ties the number of retries to the number of requests. If one
//! request in ten fails, all can be retried; if all fail, one in five is (with a `ratio` of 20).
//!
//! A request falls under the first budget whose `match` fits it ([`selection`] says which that is, where a
//! request can be read in several ways). The budget has a **ledger** for each
//! [key](portcullis_core::key), shared by all workers, which [`ledger`] describes: a request deposits `ratio` / 100
//! of a retry, a retry withdraws a whole one, deposits are good for `window`; and a reserve pays for
//! `min_retries_per_second`.
//!
//! # A request's way
//!
//! Envoy decides on retries in its router, where no filter can speak up. So it is told beforehand how many
//! it may make:
//!
//! 1. **At the request** min(`max_retries`, what the ledger pays for) retries are withdrawn. The router is
//!    told this number (see [`headers`]).
//! 2. **When the response begins**, or when the stream ends without one, no more retries can follow. The
//!    request is *settled*, in one step: what was not used is given back, to the place where it was taken
//!    from, and if the request reached an upstream, its deposit is entered. (A stream may go on for hours
//!    after its response began; nothing is held that long.)
//!
//! A request whose client has gone is settled in the same way, by what Envoy did for it. A request that
//! nobody sent to an upstream has used nothing and pays for nothing: one that a filter answers, or Envoy
//! itself (a redirect, a direct response, no route, no healthy host, a limit of the cluster's own circuit
//! breakers). Else a scan of paths that lead nowhere would buy retries.
//!
//! # What Envoy makes of a request
//!
//! - An **internal redirect** runs through the filters again: each hop is a request, which pays, and has
//!   retries of its own.
//! - A **mirrored** request (`request_mirror_policies`) runs through no filter and is not retried; only the
//!   original pays.
//! - A **hedge** (`hedge_on_per_try_timeout`) is a retry that does not wait for the end of the attempt before
//!   it: the router takes it from the same number.
//!
//! # The bound
//!
//! For every interval of time *I*, with *I'* the interval that begins one `window` earlier:
//!
//! retries granted in *I* and used ≤ `ratio` / 100 × requests settled in *I'* + `min_retries_per_second` ×
//! seconds of the clock that *I* touches,
//!
//! where only requests count that reached an upstream.
//!
//! *Proof.* A request deposits when it is settled, once. The reserve's part is plain: it pays for so many in each second. For deposits, take the last
//! grant in *I*. It was made only if withdrawals in the ten buckets then did not exceed deposits in them,
//! and refunds only lessen withdrawals. Take then the last grant in *I* before these ten buckets, and so
//! on. The groups of ten buckets that are found so do not overlap, contain all grants in *I*, and lie in
//! *I'*; the inequality holds in each of them, and so for their sum. ∎
//!
//! Grants are certain: there is no interval, no interplay of workers and no failure pattern that exceeds
//! this. What is granted may be *used* a little later, while the request waits for its response: with *t*
//! the longest time that takes, retries sent in an interval were granted in it or within *t* before.
//!
//! # The price of certainty
//!
//! A retry that is reserved cannot be given to another request until it is given back. When requests come
//! at a rate *r* and wait for the time *t* for their response, *r t* of them are under way (Little's law), and
//! each holds `max_retries`. With *f* the retries used per request, all requests get what they want as
//! long as
//!
//! *t* × `max_retries` ≤ (`ratio` / 100 − *f*) × `window`
//!
//! (and longer with the reserve). By default, with a tenth of the requests failing, that is *t* ≤ 1 s.
//! Beyond that the first to come are served; a longer `window` gives more room and changes nothing in the
//! long run.
//!
//! To reserve less than a request can use would need a guess at how many will fail. A guess that was right a
//! moment ago is wrong when an outage begins, for all requests that are under way: with an upstream that
//! hangs, those are the requests of many seconds, and they would all be retried at once.
//!
//! # Requests that are retries
//!
//! With `inbound_retries` other than `ignore`, a request whose [headers](inbound) say that it is a retry
//! deposits nothing and has no retries of its own: retries are not retried. With
//!
//! - `deny` it withdraws a retry, like one that is made here, and is denied if there is none, or while the
//!   breaker is open. Then the bound is one for all retries together, wherever they are made.
//! - `count` it withdraws a retry, be it there or not. It always passes; but while clients spend more than
//!   the budget, nothing is left for retries here.
//!
//! If it is not sent on after all (another filter answers), it gets its retry back.
//!
//! # Stop signals
//!
//! A response tells the caller not to send the request again, `x-portcullis-retry: no` and for gRPC
//! `grpc-retry-pushback-ms: -1`, if
//!
//! - it came from the upstream or from Envoy's router: the request was sent at least once;
//! - it is a failure: a status of 5xx, or a gRPC status that Envoy can retry on;
//! - the budget has nothing for another retry, could not give this request all that it should have, or
//!   could not be read, or the breaker is open.
//!
//! # Shadow
//!
//! The ledger is kept as it would be in earnest: a request counts as having used no more retries than it
//! would have been granted. What the route's policy does beyond that is counted as denied.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up when other workers came between too often. If that happens at
//! the request, `on_error` says whether it gets `max_retries` unpaid (`allow`) or none (`deny`; a retry that
//! could be denied then is). If it happens at the settlement, what was reserved stays withdrawn until it
//! leaves the window, and nothing is deposited.
//!
//! The same holds for a request of which the proxy does not say what a budget needs; with `deny` it has no
//! retries, and gets 503 if the proxy does not take that either. Where the proxy does not say how often a
//! request was sent, all that was granted counts as used.
//!
//! # Ledgers survive
//!
//! A table is identified by a hash of the budget's name, window, key and the number of blocks
//! ([`Table::identity`]). If a new configuration leaves these as they are, the counts stay, under the new
//! ratio and reserve; else they start anew.

mod account;
mod backoff;
mod breaker;
mod budget;
mod config;
mod evaluation;
mod headers;
mod inbound;
mod ledger;
mod policy;
mod reply;
mod request;
mod retry_on;
mod selection;
mod settle;
#[cfg(test)]
mod tests;

use std::fmt;

pub use breaker::{BreakerName, BreakerQuery};
pub use config::Config;
pub use evaluation::{Evaluation, Reason};
pub use settle::{Report, Settlement};

use account::Account;
use budget::{Budget, CheckedBudget};
use portcullis_core::config::{HasTables as _, Mode, Name, OnError};
use portcullis_core::key::Needs;
use portcullis_table::{KeyHash, MemoryUse};
use reply::Details;
use retry_on::Conditions;

/// The policy, compiled.
///
/// For each exchange: [`on_request`](Self::on_request), then [`reply`](Self::reply) if the request is
/// denied, else [`write_headers`](Self::write_headers); [`settle`](Self::settle) when the response begins
/// or the stream ends; and [`on_response`](Self::on_response), [`on_trailers`](Self::on_trailers). The
/// `needs_…` methods tell what the caller can spare itself.
#[derive(Debug)]
pub struct RetryBudget {
    mode: Mode,
    on_error: OnError,
    /// Of all tables, at most.
    memory: MemoryUse,
    budgets: Vec<Compiled>,
    needs: Needs,
}

#[derive(Debug)]
struct Compiled {
    budget: Budget,
    /// On what Envoy retries.
    conditions: Conditions,
    /// Of its replies.
    details: Details,
    /// How many blocks its table has.
    blocks: u32,
}

/// A budget of the configuration. Its [`index`](Self::index) is also the number of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetId(usize);

impl BudgetId {
    /// The position in [`RetryBudget::budgets`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// The table that a budget needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The number of blocks; 0 if it needs no table.
    pub blocks: u32,
    /// Tables of one identity, and of the same plugin instance, are one table.
    pub identity: u64,
}

impl RetryBudget {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let max_keys = config.max_keys.get();
        let compile = |CheckedBudget { budget, conditions }| Compiled {
            details: Details::of(&budget.name),
            blocks: Budget::blocks(&budget, max_keys),
            budget,
            conditions,
        };
        let memory = config.total_memory();
        let mut policy = Self {
            mode: config.mode,
            on_error: config.on_error,
            memory,
            budgets: config.budgets.into_iter().map(compile).collect(),
            needs: Needs::default(),
        };
        let needs = policy.active().map(|(_, Compiled { budget, .. })| {
            let needs = Needs::of(budget.condition.as_ref(), &budget.key);
            Needs {
                headers: true,
                ..needs
            }
        });
        policy.needs = needs.fold(Needs::default(), Needs::and);
        policy
    }

    /// The names of all budgets; [`BudgetId::index`] is the position.
    pub fn budgets(&self) -> impl Iterator<Item = &Name> {
        self.budgets.iter().map(|compiled| &compiled.budget.name)
    }

    /// The tables of all budgets, in the same order.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        self.budgets
            .iter()
            .map(|Compiled { budget, blocks, .. }| Table {
                blocks: *blocks,
                identity: budget.identity(*blocks),
            })
    }

    /// The breakers that the budgets respect, in the same order; none of a budget that is off.
    pub fn breakers(&self) -> impl Iterator<Item = Option<&BreakerName>> {
        let budgets = self.budgets.iter();
        let is_off = |budget: &Budget| Mode::Off == self.mode || Mode::Off == budget.mode;
        budgets.map(move |Compiled { budget, .. }| {
            let breaker = budget.respect_breaker.as_ref();
            breaker.filter(|_| !is_off(budget))
        })
    }

    /// What is configured and will not do what it seems to say, for the log.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let is_dead = |compiled: &Compiled| {
            compiled.conditions.grpc.is_some() && compiled.budget.idempotent_only
        };
        let dead = self.active().filter(move |(_, it)| is_dead(it));
        dead.map(|(_, Compiled { budget, .. })| {
            format!(
                "budget {}: the gRPC conditions of \"retry_on\" hold for no gRPC request: these are \
                 POST, and \"idempotent_only\" is true",
                budget.name
            )
        })
    }

    /// Whether requests matter at all.
    pub fn needs_request(&self) -> bool {
        self.active().next().is_some()
    }

    /// What of a request matters.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// The name of a budget, for the log.
    pub fn budget_name(&self, budget: BudgetId) -> &str {
        self.get(budget)
            .map_or("", |compiled| compiled.budget.name.as_str())
    }

    fn get(&self, budget: BudgetId) -> Option<&Compiled> {
        self.budgets.get(budget.0)
    }

    /// The budgets that are not off; none if the plugin is.
    fn active(&self) -> impl Iterator<Item = (BudgetId, &Compiled)> + Clone {
        let is_active =
            |compiled: &Compiled| self.mode != Mode::Off && compiled.budget.mode != Mode::Off;
        let budgets = self.budgets.iter().enumerate();
        budgets
            .filter(move |(_, compiled)| is_active(compiled))
            .map(|(i, compiled)| (BudgetId(i), compiled))
    }
}

impl Compiled {
    /// The account of a key.
    fn account(&self, key: KeyHash, now: u64) -> Account {
        Account {
            rules: self.budget.rules(),
            now,
            tag: key.tag(),
        }
    }
}

/// `mode enforce, up to 3 MiB for keys, budgets: orders (20 % in 10s, 3/s at least, 2 for a request)`.
impl fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mode {}, up to {} for keys, budgets:",
            self.mode, self.memory
        )?;
        for (i, Compiled { budget, .. }) in self.budgets.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {budget}")?;
        }
        Ok(())
    }
}
