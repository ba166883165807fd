//! Rate limits: exact, keyed, in bounded memory.
//!
//! A limit applies to each request that its `match` fits. The request has a key (see
//! [`key`](portcullis_core::key)) and a cost there, and the limit's algorithm decides from the small state that
//! the [table](portcullis_table) holds for the key.
//!
//! # Time
//!
//! All times are nanoseconds since the Unix epoch on a **steady** clock: the wall clock at the start of the
//! process, plus the monotonic clock since then. So windows are aligned to the hours and days of the wall clock,
//! but setting the wall clock admits nothing. Workers that disagree by some microseconds admit nothing more
//! either (see `algorithm/mod.rs`).
//!
//! # Algorithms
//!
//! Each is integer arithmetic, exact to the nanosecond; see `algorithm/*.rs` for the details.
//!
//! | | state | a cost *c* is admitted if | an interval of length *t* admits at most |
//! |---|---|---|---|
//! | `gcra` | TAT, the time at which all usage has recovered at one request per *T* = ⌈per / requests⌉ | max(TAT, *now*) + *c T* ≤ *now* + burst × *T* | burst + *t* / *T* |
//! | `sliding_window` | counts of the current and the previous window, of which the latter fades out | current + previous × rest / per + *c* ≤ requests | requests × (1 + *t* / per) |
//! | `fixed_window` | count of the current window | count + *c* ≤ requests | requests for each window that it touches |
//!
//! # Rates of requests
//!
//! The number of requests of a rate can come from the request, so two requests of one key can have different rates.
//! `requests.rs` shows why a state has a meaning under every rate, and why nobody gains a burst by a change.
//!
//! # Several limits
//!
//! A request passes if every enforcing limit admits it. A denied request consumes nothing in any limit. No store
//! can change several values atomically, so the policy works in steps, in the order of the configuration:
//!
//! 1. Each enforcing limit **reserves** the cost if it admits it, until one denies.
//! 2. After a denial, the policy only inspects the remaining limits, so that the reply can name all violated
//!    limits and a time at which none of them denies. It **rolls back** the reservations of the limits before.
//!
//! Between reservation and roll-back, for some microseconds, other requests see less capacity than there is. A
//! request that fits can be denied then, by at most the sum of the reservations that will be rolled back; a
//! request that does not fit is never admitted. When no request is in progress, each limit holds exactly what the
//! admitted requests consumed. (A roll-back also returns what has recovered since the reservation;
//! `algorithm/gcra.rs` says how little that is.) Limits that deny often belong first: roll-backs are rare then.
//!
//! # Limits of a fleet
//!
//! A rate-limit service can count a limit for several proxies ([`fleet`]). Then an evaluation may be
//! [pending](Evaluation::is_pending): the request waits, with all that it has reserved, until the answers to its calls
//! are there or their time is over. `fleet_limits/mod.rs` has the steps. The policy makes no calls itself:
//! [`Evaluation::take_calls`] lists them, and the caller passes the answers to [`RateLimit::on_answer`].
//!
//! # Shadow
//!
//! - A limit in shadow mode sees the requests that it would see if it were enforced beside the others: those that
//!   the enforcing limits admit. It keeps its own state. A request that it would have denied consumes nothing
//!   there, whatever other limits in shadow mode decide.
//! - If the whole plugin is in shadow mode, it decides as if it were enforced, roll-backs included, and then lets
//!   the request pass.
//!
//! # Costs
//!
//! - A cost of 0 is always admitted and changes nothing; it shows the current state of the key.
//! - A cost above the capacity of an unused key can never pass. If it is constant, the configuration is refused;
//!   if it comes from a header, the request is denied for that reason.
//! - `charge_response` charges or refunds the difference between the cost in the response and the reservation. A
//!   charge beyond the remaining capacity becomes a **debt**: the key is denied until it has recovered. This
//!   happens once, with the part of the response that has the cost: headers, trailers, or the dynamic metadata at the
//!   end of the stream (`charge.rs`). The reservation stands if that part does not arrive (the client has disconnected,
//!   the upstream did not answer, the response breaks off) or does not have the cost. A reply of Envoy or of another
//!   filter is a response.
//! - With `statuses`, responses with other statuses cost nothing: their reservation is refunded. Until the response
//!   arrives the reservation counts, so requests that are under way together cannot exceed the limit either.
//!
//! # Permanent denials
//!
//! A rate of 0 denies everything, and `missing: deny` denies requests without a part of the key. Waiting does not
//! help there, nor with a cost that can never pass; the reply's `Retry-After` is then the period of the rate.
//!
//! # Jitter
//!
//! `Retry-After` can have jitter (`jitter.rs`). The policy stays a function of its arguments: the host gives the random
//! number.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up when other workers write the same block too often. If that
//! happens to a reservation, `on_error` decides: the request passes this limit uncounted, or is denied with 503.
//! If it happens to a roll-back, a charge or a refund, the reservation stands: the error never admits more.
//!
//! The same applies if the proxy does not provide a value that a limit counts by (address, route, claims,
//! headers), or the clock: the request has no key, and does not count under an empty one, which all clients would
//! share. The policy then checks no limit at all. Once a response exists, the request has been decided: the error
//! is counted, and the response passes.
//!
//! # Configuration pushes
//!
//! A hash of the limit's name, algorithm, rate, key and number of blocks identifies its table
//! ([`Table::identity`]). A new configuration with the same values keeps the counts. Otherwise the limit starts
//! with an empty table, because the old counts would mean something else. If the number of requests comes from the
//! request, its source counts, but not its default and its maximum: the state has a meaning under every number.

mod algorithm;
mod charge;
mod check;
mod config;
mod cost;
mod evaluate;
pub mod fleet;
mod fleet_limits;
mod jitter;
mod limit;
mod limiter;
mod on_response;
mod policy;
mod rate;
mod reply;
mod requests;
mod response_headers;
mod tables;
#[cfg(test)]
mod tests;

/// For simulations that tests and examples share.
#[cfg(test)]
extern crate self as rate_limit_policy;

use bytes::Bytes;

pub use check::{Check, Decision, Reason};
pub use config::Config;
pub use evaluate::Evaluation;
pub use fleet_limits::{
    Call, CallResult, CommitResult, Committed, Due, Effect, FleetEvent, Hold, HoldKey, NoServices,
    ServiceId, ServiceState, Services,
};
pub use limiter::LimitEvents;
pub use on_response::ChargeEvents;
pub use tables::Table;

use charge::{ChargeResponse, ResponsePart};
use config::ResponseHeaders;
use fleet_limits::CompiledFleet;
use limit::Limit;
use portcullis_core::config::{HasTables as _, Mode, Name, OnError};
pub use portcullis_core::headers::SHADOW_HEADER;
use portcullis_core::key::Needs;
use portcullis_table::{MemoryUse, WhenFull};
use reply::{Details, ReplyTemplate};
use response_headers::QuotaPolicy;

/// The policy, compiled.
///
/// For each exchange: [`on_request`](Self::on_request), then [`reply`](Self::reply) if it denies, else
/// [`on_response`](Self::on_response). The `needs_…` methods say which steps the caller can skip.
///
/// ```
/// use std::collections::HashMap;
///
/// use portcullis_core::config;
/// use portcullis_core::headers::HeaderMap;
/// use portcullis_core::key::Request;
/// use portcullis_core::matcher::Subject;
/// use portcullis_core::time::Nanos;
/// use rate_limit_policy::{NoServices, RateLimit};
/// use portcullis_table::{Edit, GaveUp, Seed, Store};
///
/// /// The simplest store: in memory, for one worker.
/// struct Memory(Seed, HashMap<(usize, u32), Vec<u8>>);
///
/// impl Store for Memory {
///     fn seed(&self) -> &Seed {
///         &self.0
///     }
///
///     fn update<T>(
///         &mut self,
///         table: usize,
///         block: u32,
///         mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
///     ) -> Result<T, GaveUp> {
///         Ok(edit(self.1.entry((table, block)).or_default()).outcome)
///     }
/// }
///
/// let config = br#"{"limits": [
///     {"name": "per-client", "key": ["remote_address"], "rate": {"requests": 1, "per": "10s"}}
/// ]}"#;
/// let policy = RateLimit::new(config::read(config)?);
/// let mut store = Memory(Seed::new([7; 16]), HashMap::new());
///
/// let headers = HeaderMap::default();
/// let request = Request {
///     subject: &Subject::new(&headers, b""),
///     remote_address: b"192.0.2.1:51000",
///     claims: b"",
///     cluster: b"",
/// };
/// let now = Nanos::from_secs(1_700_000_000);
/// assert!(!policy.on_request(&request, now, &mut store, &mut NoServices).is_denied());
///
/// let second = policy.on_request(&request, now + Nanos::SECOND, &mut store, &mut NoServices);
/// assert!(second.is_denied());
/// let reply = policy.reply(&second, 0).ok_or("no reply")?;
/// assert_eq!(reply.status, 429);
/// assert_eq!(reply.headers, [("retry-after".into(), "9".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RateLimit {
    mode: Mode,
    on_error: OnError,
    when_full: WhenFull,
    /// Upper bound of all tables.
    memory: MemoryUse,
    limits: Vec<Compiled>,
    services: fleet::config::Services,
    /// Whether a limit has a fleet.
    has_fleets: bool,
    response_headers: Vec<ResponseHeaders>,
    reply: ReplyTemplate,
    needs: Needs,
    needs_request: bool,
    needs_response: bool,
    reads_response: bool,
    needs_trailers: bool,
    needs_end: bool,
}

#[derive(Debug)]
struct Compiled {
    limit: Limit,
    /// The number of blocks of its table.
    blocks: u32,
    quota_policy: QuotaPolicy,
    /// The response-code details of its replies.
    details: Details,
    /// `None` if each process counts on its own.
    fleet: Option<CompiledFleet>,
}

/// A limit of the configuration. Its [`index`](Self::index) is also the number of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitId(usize);

impl LimitId {
    /// The position in [`RateLimit::limits`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl RateLimit {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let max_keys = config.max_keys.get();
        let services = &config.services;
        // The tables of leases come after those of all limits.
        let tables = config.limits.len();
        let compile = |(index, limit): (usize, Limit)| Compiled {
            fleet: CompiledFleet::of(&limit, services, tables + index, max_keys),
            quota_policy: QuotaPolicy::of(&limit),
            details: Details::of(&limit.name),
            blocks: limit.blocks(max_keys),
            limit,
        };
        let memory = config.total_memory();
        let limits = config.limits.into_iter().enumerate();
        let limits: Vec<Compiled> = limits.map(compile).collect();
        let mut policy = Self {
            mode: config.mode,
            on_error: config.on_error,
            when_full: config.when_full,
            memory,
            limits,
            services: config.services,
            has_fleets: false,
            response_headers: config.response_headers,
            reply: config.reply,
            needs: Needs::default(),
            needs_request: false,
            needs_response: false,
            reads_response: false,
            needs_trailers: false,
            needs_end: false,
        };
        let shows_limits = policy.mode == Mode::Enforce && !policy.response_headers.is_empty();
        let needs = policy.active().map(Limit::needs);
        let needs = needs.reduce(Needs::and);
        policy.needs_request = needs.is_some();
        policy.needs = needs.unwrap_or_default();
        let charges = |part| {
            let charges = policy
                .active()
                .filter_map(|limit| limit.charge_response.as_ref());
            charges.map(ChargeResponse::part).any(|own| own == part)
        };
        let (in_trailers, at_end) = (charges(ResponsePart::Trailers), charges(ResponsePart::End));
        // A response without a body has its trailers as headers.
        let reads_headers = charges(ResponsePart::Headers) || in_trailers;
        let shows_x = policy
            .response_headers
            .contains(&ResponseHeaders::XRateLimit);
        let has_fleets = policy.active().any(|limit| limit.fleet.is_some());
        let needs_response = (policy.needs_request && shows_limits) || reads_headers || has_fleets;
        policy.has_fleets = has_fleets;
        policy.needs_response = needs_response;
        policy.reads_response = reads_headers || shows_x;
        policy.needs_trailers = in_trailers;
        policy.needs_end = at_end;
        policy
    }

    /// The names of all limits, by [`LimitId::index`].
    pub fn limits(&self) -> impl Iterator<Item = &Name> {
        self.limits.iter().map(|compiled| &compiled.limit.name)
    }

    /// Whether [`on_request`](Self::on_request) does anything.
    pub fn needs_request(&self) -> bool {
        self.needs_request
    }

    /// The parts of a request that [`on_request`](Self::on_request) reads. The caller may leave out the others.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether [`on_response`](Self::on_response) does anything.
    pub fn needs_response(&self) -> bool {
        self.needs_response
    }

    /// Whether [`on_trailers`](Self::on_trailers) does anything.
    pub fn needs_trailers(&self) -> bool {
        self.needs_trailers
    }

    /// Whether [`on_end`](Self::on_end) does anything.
    pub fn needs_end(&self) -> bool {
        self.needs_end
    }

    /// Whether [`on_response`](Self::on_response) reads the response's headers. Otherwise it only appends some.
    pub fn reads_response(&self) -> bool {
        self.reads_response
    }

    /// Values of [`SHADOW_HEADER`] for the request, one for each limit that would have denied it.
    pub fn shadow_marks(&self, evaluation: &Evaluation) -> impl Iterator<Item = Bytes> {
        let checks = evaluation.checks.iter();
        let denied = checks.filter(|check| matches!(check.decision, Decision::ShadowDenied(_)));
        let limits = denied.filter_map(|check| self.get(check.limit));
        limits.map(|compiled| format!("rate_limit;{}", compiled.limit.name).into())
    }

    /// The name of a limit, for the log.
    pub fn limit_name(&self, limit: LimitId) -> &str {
        self.get(limit)
            .map_or("", |compiled| compiled.limit.name.as_str())
    }

    fn get(&self, limit: LimitId) -> Option<&Compiled> {
        self.limits.get(limit.0)
    }

    /// The limits in a mode; empty if the plugin is off.
    fn limits_in(&self, mode: Mode) -> impl Iterator<Item = LimitId> {
        let limits = match self.mode {
            Mode::Enforce | Mode::Shadow => &self.limits[..],
            Mode::Off => &[],
        };
        let limits = limits.iter().enumerate();
        limits
            .filter(move |(_, compiled)| compiled.limit.mode == mode)
            .map(|(i, _)| LimitId(i))
    }

    /// The limits that are not off.
    fn active(&self) -> impl Iterator<Item = &Limit> {
        let active = self
            .limits_in(Mode::Enforce)
            .chain(self.limits_in(Mode::Shadow));
        active
            .filter_map(|id| self.get(id))
            .map(|compiled| &compiled.limit)
    }
}
