//! Documents that are fetched from elsewhere, such as a key set (JWKS) or a revocation list: one worker
//! fetches for all.
//!
//! Envoy's workers share one value in shared data for each document, and change it by compare-and-swap.
//! It holds the document and what is known about fetching it. Everything here is pure: [`Schedule`] takes
//! the bytes of that value and the time, and says what to do. The host keeps the value (created before
//! there are requests, see `shared/host/src/shared_data.rs`), makes the call, and parses the answer.
//!
//! # The course of a fetch
//!
//! 1. A worker asks with [`Schedule::acquire`] whether to fetch, with a [`Trigger`] and the generation of the
//!    document that it knows: now and then, and for each request that cannot go on without. Asking often
//!    does no harm, but copies the document; the answer says when it is worth asking again.
//! 2. If another document is stored by now, the answer is [`Acquired::Changed`]. Else one of those who ask
//!    gets [`Acquired::Fetch`], which is a **lease**: until it ends, the others get [`Acquired::Held`].
//! 3. It parses the answer. If that is good, [`Schedule::succeed`] stores it for all. If not (no answer,
//!    another status than 200, a set without a usable key, a list that cannot be read), [`Schedule::fail`]
//!    notes that. What is stored stays.
//! 4. The others hear of it when they ask again, and find it with [`View::read`].
//!
//! # When to fetch
//!
//! All times are nanoseconds of the steady clock that workers share. *r* is a random fraction below 1,
//! drawn when the last fetch ended, so that many proxies do not come to the server together.
//!
//! - **Refresh**: at `fetched_at` + `refresh` × (0.8 + 0.1 *r*). A document that was never fetched is due at
//!   once. The last tenth of `refresh` is left for the fetch, so that the document is still fresh when the
//!   next one arrives. `fetched_at` is when the fetch was *started*: no younger is what the server said.
//! - **Back-off**: after *n* failures in a row, not before `failed_at` + *d* × (1 − 0.5 *r*), where *d* is
//!   1 s × 2ⁿ⁻¹, at most 5 min, and at most `refresh`. (Half of it is sure, half is random: "equal jitter",
//!   Brooker, *Exponential Backoff and Jitter*, 2015.) A server may ask for a longer pause by `Retry-After`,
//!   up to the longest *d*. So a server that is down when the proxy starts is asked after about 1, 3, 7, 15
//!   … seconds, however many requests wait.
//! - **Miss** ([`Trigger::Miss`]: a token names a key that the set does not have; OpenID Connect Core 1.0,
//!   section 10.1.1, asks to fetch the set then): at once, but after one such fetch not again for
//!   `min_refetch_interval`, and never before the back-off is over. Refreshes do not count here, since keys
//!   can be rotated right after one. Fetches that fail do count: who makes up key ids must not make life
//!   harder for a server that is ailing. Once a refresh is due, a miss is as good a reason for it.
//!
//! `Cache-Control` is not heeded, as it is not by Envoy's `jwt_authn`: what servers and the caches in front
//! of them say there is seldom about how keys are rotated, and `refresh` would be a mere hint.
//!
//! # How long a document is used
//!
//! | [`Freshness`] | when | |
//! |---|---|---|
//! | `Never` | none was ever fetched | |
//! | `Fresh` | until `fetched_at` + `refresh` | |
//! | `Stale` | for `keep_stale` more | is used, while fetches fail |
//! | `Expired` | after that | as if there had never been one |
//!
//! # Leases, and answers that come late
//!
//! - A lease ends with the answer, or by itself after `timeout` + [`LEASE_MARGIN`]. A worker that crashed, or
//!   whose plugin was replaced, blocks nobody.
//! - A lease that ended by itself counts as a failure at that now. If it is the document that kills
//!   whoever parses it, this goes on at the pace of the back-off.
//! - The ticket of a fetch is the time it was started; each is later than the one before. It is a fencing
//!   token (Kleppmann, *How to do distributed locking*, 2016): a good answer is stored if its ticket is later
//!   than that of the stored one, even though the lease was lost meanwhile, since it is newer than what is
//!   there and somebody may wait for it. It leaves the lease of the other worker alone. A failure counts
//!   for the latest fetch only.
//!
//! # Generations
//!
//! The generation changes when the document is another one, byte by byte: fetching the same document again
//! makes no worker parse it, nor drop what it cached by it. It only grows, also when what is stored is lost.
//!
//! # Layout of the value
//!
//! A byte with the version of the layout, 1; then little-endian numbers of 8 bytes: the ticket of the latest
//! fetch, the end of its lease (0: it has ended), the latest miss (0: none), failures in a row, the time
//! of the last one, its `Retry-After`, the random number, generation (0: never fetched), ticket of the
//! document; then the document. These are facts; what follows from them is computed anew each time, so a
//! configuration with other intervals applies at once. Only the end of a lease is a promise of its holder,
//! and stays. Bytes of another version, or too few, read as no document, and both [`Acquired::Fetch`] and
//! [`View::was_malformed`] say so. [`Source::identity`] contains the version: modules of different versions
//! do not meet in one value.
//!
//! # Sizes
//!
//! A document has at most [`MAX_BODY`] bytes. Shared data copies the whole value for each read, under a
//! lock that all workers share: in the order of 100 µs for a document of that size. A worker has to read it
//! only when the last answer said so, some times for each `refresh`; who waits asks more often.

mod headers;
mod record;
mod schedule;
mod source;
#[cfg(test)]
mod tests;
mod uri;
mod view;

pub use headers::FetchHeaders;
pub use schedule::{LEASE_MARGIN, MAX_BODY, Schedule};
pub use source::{Cluster, Source};
pub(crate) use source::{between, nanoseconds};
pub use uri::Uri;
pub use view::{Freshness, View};

/// Why a document might be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It may be due: never fetched, or about to be no longer fresh.
    Due,
    /// Somebody needs what the document does not have.
    Miss,
}

/// A fetch that was started: the time of that. What comes of the fetch is reported with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Whether to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// Yes, and nobody else does. The ticket goes to [`Schedule::succeed`] or [`Schedule::fail`].
    Fetch {
        /// Stands for this fetch.
        ticket: Ticket,
        /// Whether there were bytes that could not be read: what they held is lost.
        was_malformed: bool,
    },
    /// No, somebody else does. This is when its lease ends, at the latest.
    Held {
        /// The end of the lease.
        until: u64,
    },
    /// No, not before this time.
    NotBefore(u64),
    /// No: the document is another one than the caller knows. Look at it first.
    Changed,
}

/// What became of a document that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreResult {
    /// It is stored, and it is another one than before.
    Changed,
    /// It is the one that is stored.
    Unchanged,
    /// It is empty or larger than [`MAX_BODY`]: the fetch has failed.
    Refused,
    /// One that was asked for later is stored already.
    Late,
}
