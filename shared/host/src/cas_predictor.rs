//! Which version a value gets that is written now.
//!
//! Shared data gives each value that is written a version, but does not say which; whoever wants to
//! swap that value has to read it first, version and all. That is the most expensive call that a
//! policy makes: for each call that returns bytes, Envoy allocates memory in the module, which takes
//! three quarters of the call. So a worker remembers what it wrote, and *guesses* the version.
//!
//! # Why a guess cannot do harm
//!
//! Envoy counts the versions of all values with one counter. Say a worker knows of a version `L`,
//! anybody's, that was given before it wrote a value. Its value then has a version above `L`, and it
//! remembers `L + 1`. Either that is right. Or the version is a higher one, as will be all that the
//! value ever has from then on: a swap that expects `L + 1` fails, the worker reads, and has lost
//! nothing but time. A swap succeeds only if nobody wrote the value in between.
//!
//! That holds only for a counter as described, which is [tried](CasPredictor::open) when configuring; and
//! as long as the counter, which has 32 bits, does not come round in between. So a guess is believed
//! for some [seconds](is_recent) only, and what is known, from which guesses are made, is asked for anew
//! after as many: no machine writes four billion values under one lock in that time.
//!
//! # How guesses come true
//!
//! A worker *asks* for the newest version by writing an empty value and reading that: for what is
//! empty no memory is allocated. Its next write gets the version after that one, unless somebody else
//! writes in between.
//!
//! To ask takes two calls. A worker that writes makes the version that it knows one newer, too, and
//! when it asks the next time, it sees whether that was right: then nobody else has written. When that
//! was so [several times](ALONE) in a row, it asks only once in as many writes.

use std::cell::Cell;

use portcullis_core::time::Nanos;

use crate::abi::{self, Status};

/// A value that nobody reads, and that is always empty.
const PROBE: &[u8] = b"portcullis/version";
/// Only for [`CasPredictor::open`].
const OTHER_PROBE: &[u8] = b"portcullis/version_2";

/// Who has found so many times in a row that nobody else wrote is alone.
const ALONE: u32 = 64;

/// What a worker knows of the versions in this process.
#[derive(Debug)]
pub(crate) struct CasPredictor {
    known: Cell<Known>,
    /// How many times in a row nobody else had written.
    alone: Cell<u32>,
    /// For how many writes it need not ask.
    unasked: Cell<u32>,
}

/// A version that is not newer than the newest that was given.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: u32,
    /// When it, or the one from which it was counted up, was asked for.
    asked_at: u32,
}

/// The version after this one. The counter leaves out 0, which would mean: whatever the version is.
pub(crate) fn next(version: u32) -> u32 {
    version.checked_add(1).unwrap_or(1)
}

fn is_newer(version: u32, than: u32) -> bool {
    version != than && version.wrapping_sub(than) <= u32::MAX / 2
}

/// The time by which is measured how old a version is, in units of 2³⁰ nanoseconds.
pub(crate) fn units(now: Nanos) -> u32 {
    // It comes round after 146 years.
    (now.get() >> 30) as u32
}

/// Whether what was known at that time may still be believed.
pub(crate) fn is_recent(at: u32, now: Nanos) -> bool {
    const KNOWN_FOR: u32 = 8;
    units(now).wrapping_sub(at) <= KNOWN_FOR
}

impl CasPredictor {
    /// `None` if the host counts in another way than described. Call it when configuring.
    pub(crate) fn open() -> Option<Self> {
        let counted = [PROBE, OTHER_PROBE, PROBE].map(written_version);
        let [Ok(first), Ok(second), Ok(third)] = counted else {
            return None;
        };
        let is_one_counter = is_newer(second, first) && is_newer(third, second);
        is_one_counter.then_some(Self {
            known: Cell::new(Known {
                version: third,
                // Before the first write it asks anyway.
                asked_at: 0,
            }),
            alone: Cell::new(0),
            unasked: Cell::new(0),
        })
    }

    /// A version that is not newer than the newest that was given, for a write; `None` if none can be
    /// had.
    pub(crate) fn latest(&self, now: Nanos) -> Option<u32> {
        let known = self.known.get();
        match self.unasked.get().checked_sub(1) {
            Some(unasked) if is_recent(known.asked_at, now) => {
                self.unasked.set(unasked);
                Some(known.version)
            }
            _ => self.ask(now),
        }
    }

    /// Notes which version the write after [`latest`](Self::latest) got, at least.
    pub(crate) fn note(&self, version: u32) {
        let Known { asked_at, .. } = self.known.get();
        self.known.set(Known { version, asked_at });
    }

    /// A guess was wrong: somebody else has written.
    pub(crate) fn doubt(&self) {
        self.alone.set(0);
        self.unasked.set(0);
    }

    fn ask(&self, now: Nanos) -> Option<u32> {
        let version = written_version(PROBE).ok()?;
        let alone = match version == next(self.known.get().version) {
            true => self.alone.get().saturating_add(1),
            false => 0,
        };
        self.alone.set(alone);
        self.unasked.set(if alone < ALONE { 0 } else { ALONE });
        self.known.set(Known {
            version,
            asked_at: units(now),
        });
        Some(version)
    }
}

/// A version that no other key has, because the probe has it: see
/// [how a key is created](crate::shared_data).
pub(crate) fn foreign() -> Result<u32, Status> {
    written_version(PROBE)
}

/// The version of an empty value after it was written.
fn written_version(key: &[u8]) -> Result<u32, Status> {
    abi::set_shared_data(key, &[], 0)?;
    abi::shared_data(key).map(|(_, version)| version)
}
