//! How often something may be asked for: exact, keyed, in bounded memory.
//!
//! A request falls under each limit whose `match` fits it. For each of them it has a key (the parts are
//! described in [`key`](portcullis_core::key)) and a cost, and the limit's algorithm decides on the small state that the
//! [table](portcullis_table) holds for the key.
//!
//! # Time
//!
//! All times are nanoseconds since the Unix epoch, reckoned by a **steady** clock: the wall clock as it
//! was when the process started, plus what the monotonic clock has counted since. Windows are thus
//! aligned to the hours and days that people know, and a wall clock that is stepped hands out nothing.
//! Where workers disagree by some microseconds, nothing more is admitted (see `algorithm/mod.rs`).
//!
//! # Algorithms
//!
//! Each is integer arithmetic, exact to the nanosecond; see `algorithm/*.rs` for the details.
//!
//! | | state | a cost *c* is admitted if | an interval of length *t* admits at most |
//! |---|---|---|---|
//! | `gcra` | TAT, the time at which all is paid for at one request in *T* = ⌈per / requests⌉ | max(TAT, *now*) + *c T* ≤ *now* + burst × *T* | burst + *t* / *T* |
//! | `sliding_window` | counts of this window and of the one before, which fades out | current + previous × rest / per + *c* ≤ requests | requests × (1 + *t* / per) |
//! | `fixed_window` | count of this window | count + *c* ≤ requests | requests for each window that it touches |
//!
//! # Several limits
//!
//! A request passes if every enforcing limit admits it, and one that does not pass consumes nothing
//! anywhere. No store can change several values at once, so this is done in steps, in the order of the
//! configuration:
//!
//! 1. Each enforcing limit **reserves** the cost if it admits it, until one denies.
//! 2. If one did, the limits after it are only looked at, so that the reply can name all limits that
//!    are violated and a time at which none will be; and what the limits before it have reserved is
//!    given back, **rolled back**.
//!
//! Between reservation and roll-back, some microseconds, other requests see less than is left: they can
//! be denied although they would fit, by at most the sum of what is reserved at that moment and will be
//! rolled back. They are never admitted where they would not fit. When nothing is under way, each limit
//! holds what the admitted requests consumed. (What waiting has paid for between a reservation and its
//! roll-back is given back with it; `algorithm/gcra.rs` says how little that is.) Limits that deny often
//! belong in front: nothing has to be rolled back then.
//!
//! # Shadow
//!
//! - A limit in shadow mode sees what it would see if it were enforced beside the others: the requests
//!   that the enforcing limits admit. It keeps its own state, in which a request that it would have
//!   denied consumes nothing, whatever other limits in shadow mode think of it.
//! - With the whole plugin in shadow mode, everything is decided as it would be in earnest, roll-backs
//!   included; only then the request goes on.
//!
//! # Costs
//!
//! - A cost of 0 is always admitted and changes nothing; it tells where the key stands.
//! - A cost that is more than an unused key admits can never pass. Where it is constant, the
//!   configuration is refused; where it comes from a header, the request is denied for that reason.
//! - `charge_response` settles what the response says against what was reserved. More is charged even
//!   if it is not there, as a **debt**: the key is denied until it is paid for. Less is refunded. This
//!   is done once, with the first headers of the response. Without them (the client has gone, the
//!   upstream did not answer), and without that header, what was reserved stands.
//!
//! # What is denied for good
//!
//! A rate of 0 denies everything. So does `missing: deny` where a part of the key is missing. No waiting
//! helps there, nor with a cost that can never pass; the reply's `Retry-After` is then the time of the
//! rate.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up when other workers came between too often. If that happens
//! to a reservation, `on_error` says whether the request passes this limit uncounted, or is denied with
//! 503. If it happens to a roll-back or a settlement, what was reserved stays consumed: never the other
//! way round.
//!
//! The same holds for a request of which the proxy does not say what a limit counts by (address, route,
//! claims, headers), or for which it has no clock: it has no key, and is not counted under an empty one, which
//! all clients would share. No limit is asked then. Once there is a response, the request was judged: an
//! error is counted, and the response passes.
//!
//! # Counts survive
//!
//! A table is identified by a hash of the limit's name, algorithm, rate, key and the number of blocks
//! ([`Table::identity`]). If a new configuration leaves these as they are, the counts stay; else they
//! start anew, because the old ones would mean something else.

mod algorithm;
mod config;
mod cost;
mod evaluate;
mod limit;
mod limiter;
mod on_response;
mod policy;
mod rate;
mod reply;
mod response_headers;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use config::Config;
pub use evaluate::{Check, Evaluation, Outcome, Reason};
pub use limiter::LimitEvents;

use config::ResponseHeaders;
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
/// [`on_response`](Self::on_response). The `needs_…` methods tell what the caller can spare itself.
///
/// ```
/// use std::collections::HashMap;
///
/// use portcullis_core::config;
/// use portcullis_core::headers::HeaderMap;
/// use portcullis_core::key::Request;
/// use portcullis_core::matcher::Subject;
/// use portcullis_core::time::Nanos;
/// use rate_limit_policy::RateLimit;
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
/// assert!(!policy.on_request(&request, now, &mut store).is_denied());
///
/// let second = policy.on_request(&request, now + Nanos::SECOND, &mut store);
/// assert!(second.is_denied());
/// let reply = policy.reply(&second).ok_or("no reply")?;
/// assert_eq!(reply.status, 429);
/// assert_eq!(reply.headers, [("retry-after".into(), "9".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RateLimit {
    mode: Mode,
    on_error: OnError,
    when_full: WhenFull,
    /// Of all tables, at most.
    memory: MemoryUse,
    limits: Vec<Compiled>,
    response_headers: Vec<ResponseHeaders>,
    reply: ReplyTemplate,
    needs: Needs,
    needs_request: bool,
    needs_response: bool,
}

#[derive(Debug)]
struct Compiled {
    limit: Limit,
    /// How many blocks its table has.
    blocks: u32,
    quota_policy: QuotaPolicy,
    /// Of its replies.
    details: Details,
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

/// The table that a limit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The number of blocks; 0 if it needs no table.
    pub blocks: u32,
    /// Tables of one identity, and of the same plugin instance, are one table.
    pub identity: u64,
}

impl RateLimit {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let max_keys = config.max_keys.get();
        let compile = |limit: Limit| Compiled {
            quota_policy: QuotaPolicy::of(&limit),
            details: Details::of(&limit.name),
            blocks: limit.blocks(max_keys),
            limit,
        };
        let memory = config.total_memory();
        let mut policy = Self {
            mode: config.mode,
            on_error: config.on_error,
            when_full: config.when_full,
            memory,
            limits: config.limits.into_iter().map(compile).collect(),
            response_headers: config.response_headers,
            reply: config.reply,
            needs: Needs::default(),
            needs_request: false,
            needs_response: false,
        };
        let shows_limits = policy.mode == Mode::Enforce && !policy.response_headers.is_empty();
        let needs = policy.active().map(Limit::needs);
        let needs = needs.reduce(Needs::and);
        let needs_response = policy
            .active()
            .any(|limit| shows_limits || limit.charge_response.is_some());
        policy.needs_request = needs.is_some();
        policy.needs = needs.unwrap_or_default();
        policy.needs_response = needs_response;
        policy
    }

    /// The names of all limits; [`LimitId::index`] is the position.
    pub fn limits(&self) -> impl Iterator<Item = &Name> {
        self.limits.iter().map(|compiled| &compiled.limit.name)
    }

    /// The tables of all limits, in the same order.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        self.limits
            .iter()
            .map(|Compiled { limit, blocks, .. }| Table {
                blocks: *blocks,
                identity: limit.identity(*blocks),
            })
    }

    /// Whether requests matter at all.
    pub fn needs_request(&self) -> bool {
        self.needs_request
    }

    /// What of a request matters. Headers that do not may be left out of the subject.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether [`on_response`](Self::on_response) does anything.
    pub fn needs_response(&self) -> bool {
        self.needs_response
    }

    /// The values of [`SHADOW_HEADER`] for the request, one for each limit that would have denied it.
    pub fn shadow_marks(&self, evaluation: &Evaluation) -> impl Iterator<Item = Bytes> {
        let checks = evaluation.checks.iter();
        let denied = checks.filter(|check| matches!(check.outcome, Outcome::ShadowDenied(_)));
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

    /// The limits of a mode; none if the plugin is off.
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

/// `mode enforce, up to 3 MiB for keys, limits: per-client (100 per 1m), exports (10 per 1m, shadow)`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mode {}, up to {} for keys, limits:",
            self.mode, self.memory
        )?;
        for (i, Compiled { limit, .. }) in self.limits.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {} ({}", limit.name, limit.rate)?;
            match limit.mode {
                Mode::Enforce => f.write_str(")")?,
                mode => write!(f, ", {mode})")?,
            }
        }
        Ok(())
    }
}
