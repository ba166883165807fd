//! Limits retries: enough for single failures, too few for a storm.
//!
//! When a service fails, retries multiply the load on it: three retries at each of two hops turn one request into
//! sixteen. A budget ties the number of retries to the number of requests. If one request in ten fails, all of these
//! can be retried; if all requests fail, one in five can (with a `ratio` of 20).
//!
//! A request belongs to the first budget whose `match` fits it (`selection.rs` defines which one that is for a request
//! with several readings). The budget has a **ledger** for each [key](portcullis_core::key), shared by all workers; see
//! `ledger/mod.rs`. A request deposits `ratio` / 100 of a retry, a retry withdraws a whole one, deposits are valid for
//! `window`; and a reserve pays for `min_retries_per_second`.
//!
//! # The steps of a request
//!
//! Envoy decides on retries in its router, where no filter runs. So the router gets the number of allowed retries in
//! advance:
//!
//! 1. **When the request arrives**, min(`max_retries`, what the ledger pays for) retries are withdrawn, and the router
//!    gets this number (see `headers.rs`).
//! 2. **When the response begins**, or when the stream ends without one, no more retries can follow. The use of the
//!    request is *recorded*, in one step: unused retries are refunded to their source, and if the request reached an
//!    upstream, its deposit is entered. (A stream may continue for hours after its response began; nothing is held that
//!    long.)
//!
//! A request whose client has gone is recorded in the same way, by what Envoy did for it. A request that was never sent
//! to an upstream has used nothing and pays for nothing: one that a filter answers, or Envoy itself (a redirect, a
//! direct response, no route, no healthy host, a limit of the cluster's own circuit breakers). Otherwise a scan of
//! paths without a route would buy retries.
//!
//! # How Envoy multiplies a request
//!
//! - An **internal redirect** passes the filters again: each hop is a request that pays and has retries of its own.
//! - A **mirrored** request (`request_mirror_policies`) passes no filter and is not retried; only the original pays.
//! - A **hedge** (`hedge_on_per_try_timeout`) is a retry that does not wait for the end of the previous attempt: the
//!   router takes it from the same number.
//!
//! # The bound
//!
//! For every interval of time *I*, with *I'* the interval that begins one `window` earlier:
//!
//! retries granted in *I* and used ≤ `ratio` / 100 × requests recorded in *I'* + `min_retries_per_second` × seconds of
//! the clock that *I* touches,
//!
//! where only requests count that reached an upstream.
//!
//! *Proof.* A request deposits once, when it is recorded. The part of the reserve is plain: it pays for a fixed number
//! in each second. For deposits, take the last grant in *I*. It was made only if withdrawals in the ten buckets then
//! did not exceed deposits in them, and refunds only reduce withdrawals. Then take the last grant in *I* before these
//! ten buckets, and so on. The groups of ten buckets found in this way do not overlap, contain all grants in *I*, and
//! lie in *I'*; the inequality holds in each of them, and so for their sum. ∎
//!
//! Grants are certain: no interval, no interleaving of workers and no pattern of failures exceeds this. A granted retry
//! may be *used* a little later, while the request waits for its response: with *t* the longest such time, retries sent
//! in an interval were granted in it or within *t* before it.
//!
//! # The price of certainty
//!
//! A reserved retry is not available to another request until it is refunded. When requests arrive at a rate *r* and
//! wait for the time *t* for their response, *r t* of them are under way (Little's law), and each holds `max_retries`.
//! With *f* the retries used per request, all requests get the retries they want as long as
//!
//! *t* × `max_retries` ≤ (`ratio` / 100 − *f*) × `window`
//!
//! (and longer with the reserve). By default, with a tenth of the requests failing, that is *t* ≤ 1 s. Beyond that, the
//! first requests to arrive get the retries; a longer `window` gives more room and changes nothing in the long run.
//!
//! Reserving less than a request can use would require a guess at how many requests will fail. A guess that was right a
//! moment ago is wrong when an outage begins, for all requests that are under way: with an upstream that hangs, those
//! are the requests of many seconds, and all of them would be retried at once.
//!
//! # Requests that are retries
//!
//! With `inbound_retries` other than `ignore`, a request whose headers (see `inbound.rs`) mark it as a retry deposits
//! nothing and has no retries of its own: retries are not retried. With
//!
//! - `deny`, it withdraws a retry, like a retry of this proxy, and is denied if there is none, or while the breaker is
//!   open. Then one bound covers all retries, here and at the callers.
//! - `count`, it withdraws a retry, regardless of the balance. It always passes; but while clients spend more than the
//!   budget, nothing is left for retries here.
//!
//! If it is not sent to an upstream after all (another filter answers), its retry is refunded.
//!
//! # Stop signals
//!
//! A response asks the caller not to send the request again, with `x-portcullis-retry: no` and for gRPC
//! `grpc-retry-pushback-ms: -1`, if
//!
//! - it comes from the upstream or from Envoy's router: the request was sent at least once;
//! - it is a failure: a status of 5xx, or a gRPC status that Envoy can retry on; and
//! - the budget does not pay for another retry, could not give this request all the retries that it should have, or
//!   could not be read, or the breaker is open.
//!
//! # Shadow
//!
//! The ledger is kept as if the budget were enforced: a request counts as having used no more retries than it would
//! have been granted. Retries that the route's policy makes beyond that are counted as denied.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up if other workers interfere too often. If that happens to a request,
//! `on_error` determines whether it gets `max_retries` without payment (`allow`) or none (`deny`; a caller's retry that
//! could be denied is denied then). If it happens when the use of a request is recorded, the reserved retries stay
//! withdrawn until they leave the window, and nothing is deposited.
//!
//! The same holds for a request for which the proxy does not provide what a budget needs; with `deny` it has no
//! retries, and gets 503 if the proxy does not accept that either. If the proxy does not provide how often a request
//! was sent, all granted retries count as used.
//!
//! # Ledgers survive
//!
//! A table is identified by a hash of the budget's name, window, key and the number of blocks ([`Table::identity`]).
//! If a new configuration does not change these, the counts stay, with the new ratio and reserve; otherwise they start
//! at 0.

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
mod recording;
mod reply;
mod request;
mod retry_on;
mod selection;
mod stop_signal;
#[cfg(test)]
mod tests;

use std::fmt;

pub use breaker::{BreakerName, BreakerQuery};
pub use config::Config;
pub use evaluation::{Evaluation, Reason};
pub use recording::{Recorded, Report};

use account::Account;
use budget::{Budget, CheckedBudget};
use portcullis_core::config::{HasTables as _, Mode, Name, OnError};
use portcullis_core::key::Needs;
use portcullis_core::time::Nanos;
use portcullis_table::{KeyHash, MemoryUse};
use reply::Details;
use retry_on::Conditions;

/// The policy, compiled.
///
/// The caller calls, for each exchange: [`on_request`](Self::on_request); then [`reply`](Self::reply) if the request is
/// denied, otherwise [`write_headers`](Self::write_headers); [`record`](Self::record) when the response begins or the
/// stream ends; and [`on_response`](Self::on_response), [`on_trailers`](Self::on_trailers). The `needs_…` methods say
/// which of these calls it can omit.
#[derive(Debug)]
pub struct RetryBudget {
    mode: Mode,
    on_error: OnError,
    /// The most memory that all tables take.
    memory: MemoryUse,
    budgets: Vec<Compiled>,
    needs: Needs,
}

#[derive(Debug)]
struct Compiled {
    budget: Budget,
    /// The conditions on which Envoy retries.
    conditions: Conditions,
    /// The response-code details of its replies.
    details: Details,
    /// The number of blocks of its table; 0 if it needs no table.
    blocks: u32,
}

/// A budget, by its position in the configuration. Its [`index`](Self::index) is also the number of its table.
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
    /// Within one plugin instance, tables with the same identity are one table.
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

    /// The breakers that the budgets respect, in the same order; `None` for a budget that is off.
    pub fn breakers(&self) -> impl Iterator<Item = Option<&BreakerName>> {
        let budgets = self.budgets.iter();
        let is_off = |budget: &Budget| Mode::Off == self.mode || Mode::Off == budget.mode;
        budgets.map(move |Compiled { budget, .. }| {
            let breaker = budget.respect_breaker.as_ref();
            breaker.filter(|_| !is_off(budget))
        })
    }

    /// Settings without effect, for the log.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let is_dead = |compiled: &Compiled| {
            compiled.conditions.grpc.is_some() && compiled.budget.idempotent_only
        };
        let dead = self.active().filter(move |(_, it)| is_dead(it));
        dead.map(|(_, Compiled { budget, .. })| {
            format!(
                "budget {}: the gRPC conditions in \"retry_on\" have no effect, because gRPC requests \
                 are POST and \"idempotent_only\" is true",
                budget.name
            )
        })
    }

    /// Whether the policy looks at requests.
    pub fn needs_request(&self) -> bool {
        self.active().next().is_some()
    }

    /// The parts of a request that decisions depend on.
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
    fn account(&self, key: KeyHash, now: Nanos) -> Account {
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
