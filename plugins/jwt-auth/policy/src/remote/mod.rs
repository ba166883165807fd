//! Remote documents, such as a key set (JWKS) or a revocation list: one worker fetches for all.
//!
//! Envoy's workers share one value in shared data for each document, and change it by compare-and-swap. It holds
//! the document and the facts about fetching it. Everything here is pure: [`Schedule`] takes the bytes of that
//! value and the time, and returns what to do. The host keeps the value (created before the first request, see
//! `shared/host/src/shared_data.rs`), makes the call, and parses the answer.
//!
//! # The course of a fetch
//!
//! 1. A worker calls [`Schedule::acquire`] with a [`Trigger`] and the generation of the document that it knows:
//!    at intervals, and for each request that needs a newer document. Frequent calls are harmless, but each copies
//!    the document; the answer names the time of the next useful call.
//! 2. If another document is stored by now, the answer is [`Acquired::Changed`]. Otherwise one of the callers gets
//!    [`Acquired::Fetch`], which is a **lease**: until it ends, the others get [`Acquired::Held`].
//! 3. The worker parses the response. If it is good, [`Schedule::succeed`] stores it for all. If not (no response,
//!    a status other than 200, a set without a usable key, an unreadable list), [`Schedule::fail`] records the
//!    failure. The stored document stays.
//! 4. The other workers learn of the document at their next call, and read it with [`View::read`].
//!
//! # When to fetch
//!
//! All times are on the steady clock that workers share. *r* is a random fraction below 1, drawn when the last
//! fetch ended, so that many proxies do not reach the server at the same time.
//!
//! - **Refresh**: at `fetched_at` + `refresh` × (0.8 + 0.1 *r*). A document that was never fetched is due at once.
//!   The last tenth of `refresh` is reserved for the fetch, so that the document is still fresh when the next one
//!   arrives. `fetched_at` is the *start* of the fetch: the server's answer may be as old as that.
//! - **Back-off**: after *n* consecutive failures, not before `failed_at` + *d* × (1 − 0.5 *r*), where *d* is
//!   1 s × 2ⁿ⁻¹, at most 5 min, and at most `refresh` ([`Jitter::Equal`](portcullis_core::backoff::Jitter)). A
//!   server may ask for a longer pause with `Retry-After`, up to the longest *d*. So a server that is down when the
//!   proxy starts is tried again after about 1, 3, 7, 15 … seconds, regardless of how many requests wait.
//! - **Miss** ([`Trigger::Miss`]: a token names a key that the set lacks; OpenID Connect Core 1.0, section 10.1.1,
//!   asks for a fetch in this case): at once, but after one such fetch not again for `min_refetch_interval`, and
//!   never before the back-off is over. Refreshes do not count here, because keys can be rotated right after one.
//!   Failed fetches do count: invented key ids must not add to the load of a server in trouble. Once a refresh is
//!   due, a miss may start it.
//!
//! `Cache-Control` is ignored, as in Envoy's `jwt_authn`: servers and the caches in front of them seldom set it
//! with key rotation in mind, and it would reduce `refresh` to a hint.
//!
//! # How long a document is used
//!
//! | [`Freshness`] | when | |
//! |---|---|---|
//! | `Never` | never fetched | |
//! | `Fresh` | until `fetched_at` + `refresh` | |
//! | `Stale` | for a further `keep_stale` | used, while fetches fail |
//! | `Expired` | after that | treated as never fetched |
//!
//! # Leases and late answers
//!
//! - A lease ends with the answer, or on its own after `timeout` + [`LEASE_MARGIN`]. A worker that crashed, or
//!   whose plugin was replaced, blocks no other.
//! - A lease that ended on its own counts as a failure at that moment. A document that crashes its parser is
//!   therefore fetched at the pace of the back-off.
//! - The ticket of a fetch is its start time; each ticket is later than the one before. It is a fencing token
//!   (Kleppmann, *How to do distributed locking*, 2016): a good answer is stored if its ticket is later than the
//!   stored document's, even if the lease was lost meanwhile, because it is newer and requests may wait for it. It
//!   does not affect another worker's lease. A failure counts for the latest fetch only.
//!
//! # Generations
//!
//! The generation changes when the document differs by at least one byte: fetching the same document again makes
//! no worker parse it or drop its caches. It only grows, even after the stored value is lost.
//!
//! # Layout of the value
//!
//! A byte with the version of the layout, 1; then little-endian numbers of 8 bytes: the ticket of the latest
//! fetch, the end of its lease (0: it has ended), the latest miss (0: none), consecutive failures, the time of the
//! last one, its `Retry-After`, the random number, generation (0: never fetched), ticket of the document; then the
//! document. These are facts; conclusions are computed from them each time, so a configuration with other
//! intervals applies at once. Only the end of a lease is a promise of its holder, and stays. Bytes of another
//! version, or too few bytes, read as no document, and both [`Acquired::Fetch`] and [`View::was_malformed`] say
//! so. [`Source::identity`] contains the version: modules of different versions do not share a value.
//!
//! # Sizes
//!
//! A document has at most [`MAX_BODY`] bytes. Shared data copies the whole value for each read, under a lock that
//! all workers share: about 100 µs for a document of that size. A worker needs to read it only when the last
//! answer said so, a few times per `refresh`, or more often while requests wait.

mod headers;
mod record;
mod schedule;
mod source;
#[cfg(test)]
mod tests;
mod uri;
mod view;

pub use headers::FetchHeaders;
use portcullis_core::time::Nanos;
pub use schedule::{LEASE_MARGIN, MAX_BODY, Schedule};
pub use source::{Cluster, Source};
pub use uri::Uri;
pub use view::{Freshness, View};

/// A reason to fetch a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It may be due: never fetched, or about to become stale.
    Due,
    /// A request needs something that the document lacks.
    Miss,
}

/// A fetch that was started, identified by its start time. The caller reports the result with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(Nanos);

/// Whether to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// Yes, and no other worker does. The ticket goes to [`Schedule::succeed`] or [`Schedule::fail`].
    Fetch {
        /// Identifies this fetch.
        ticket: Ticket,
        /// Whether the stored bytes were unreadable: their content is lost.
        was_malformed: bool,
    },
    /// No, another worker does.
    Held {
        /// The latest end of its lease.
        until: Nanos,
    },
    /// No, not before this time.
    NotBefore(Nanos),
    /// No: the stored document is not the one that the caller knows. Read it first.
    Changed,
}

/// The result of storing a fetched document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreResult {
    /// It is stored, and differs from the previous one.
    Changed,
    /// It equals the stored one.
    Unchanged,
    /// It is empty or larger than [`MAX_BODY`]: the fetch has failed.
    Refused,
    /// The stored document comes from a later fetch.
    Late,
}
