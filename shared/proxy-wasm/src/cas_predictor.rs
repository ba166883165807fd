//! Predicts the version of a value that a worker writes.
//!
//! Shared data gives each written value a version, but does not return it. A worker that wants to swap the value later
//! has to read it first, for its version. That read is the most expensive call of a policy: for each call that returns
//! bytes, Envoy allocates memory in the module, which takes three quarters of the call. So a worker caches the values
//! that it wrote, and *predicts* their versions.
//!
//! # Why a wrong prediction is harmless
//!
//! Envoy numbers the versions of all values with one counter. Suppose a worker knows a version `L` of any value, and
//! that version was given before the worker wrote its own value. The version of its value is then greater than `L`, and
//! the worker predicts `L + 1`. Either the prediction is correct. Or the version is greater, as will be every later
//! version of that value: a swap that expects `L + 1` fails, the worker reads the value, and has lost only time. A swap
//! succeeds only if nobody has written the value in between.
//!
//! This requires a counter as described, which the configuration [checks](CasPredictor::open), and a counter (it has 32
//! bits) that does not wrap around in between. A prediction therefore holds for a few [seconds](CoarseTime::is_recent)
//! only, and after as many seconds the worker reads the newest version again: no machine writes four billion values
//! under one lock in that time.
//!
//! # How predictions come true
//!
//! To *check* the newest version, a worker writes an empty value and reads it: for an empty value, Envoy allocates no
//! memory. Its next write gets the following version, unless another worker writes in between.
//!
//! A check takes two calls. A worker that writes also advances the version that it knows, so its next check shows
//! whether other workers have written since. After [enough checks](SOLE_WRITER_AFTER) in a row without a foreign write,
//! it checks only once in as many writes.

use std::cell::Cell;

use portcullis_core::time::Nanos;
use portcullis_host::Status;

use crate::abi;

/// The key of a value that is always empty. Only its version matters.
const PROBE: &[u8] = b"portcullis/version";
/// Only for [`CasPredictor::open`].
const OTHER_PROBE: &[u8] = b"portcullis/version_2";

/// After this many consecutive checks without a foreign write, the worker assumes it is the only writer.
const SOLE_WRITER_AFTER: u32 = 64;

/// A worker's knowledge of the versions in this process.
#[derive(Debug)]
pub(crate) struct CasPredictor {
    known: Cell<Known>,
    /// Consecutive checks without a foreign write.
    undisturbed_checks: Cell<u32>,
    /// Writes left before the next check.
    writes_before_check: Cell<u32>,
}

/// A version that is at most the newest one.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: u32,
    /// The time of the last check. The version has been counted up from the one that the check found.
    checked_at: CoarseTime,
}

/// The version after this one. The counter skips 0, which means an unconditional write.
pub(crate) fn next(version: u32) -> u32 {
    version.checked_add(1).unwrap_or(1)
}

fn is_newer(version: u32, than: u32) -> bool {
    version != than && version.wrapping_sub(than) <= u32::MAX / 2
}

/// A time in units of 2³⁰ nanoseconds, which wraps around after 146 years. There is one for each cached block, so it is
/// kept small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoarseTime(u32);

impl CoarseTime {
    pub(crate) fn of(time: Nanos) -> Self {
        Self((time.get() >> 30) as u32)
    }

    /// Whether a version that was known at this time may still be used.
    pub(crate) fn is_recent(self, now: Nanos) -> bool {
        const UNITS: u32 = 8;
        Self::of(now).0.wrapping_sub(self.0) <= UNITS
    }
}

impl CasPredictor {
    /// `None` if the host's counter does not work as described. Call it when configuring.
    pub(crate) fn open() -> Option<Self> {
        let counted = [PROBE, OTHER_PROBE, PROBE].map(written_version);
        let [Ok(first), Ok(second), Ok(third)] = counted else {
            return None;
        };
        let is_one_counter = is_newer(second, first) && is_newer(third, second);
        is_one_counter.then_some(Self {
            known: Cell::new(Known {
                version: third,
                // A check precedes the first write anyway.
                checked_at: CoarseTime(0),
            }),
            undisturbed_checks: Cell::new(0),
            writes_before_check: Cell::new(0),
        })
    }

    /// A version that is at most the newest one, for a write; `None` if the host refuses a check.
    pub(crate) fn latest(&self, now: Nanos) -> Option<u32> {
        let known = self.known.get();
        match self.writes_before_check.get().checked_sub(1) {
            Some(left) if known.checked_at.is_recent(now) => {
                self.writes_before_check.set(left);
                Some(known.version)
            }
            _ => self.check(now),
        }
    }

    /// Records the lowest version that the write after [`latest`](Self::latest) can have got.
    pub(crate) fn record_write(&self, version: u32) {
        let Known { checked_at, .. } = self.known.get();
        self.known.set(Known {
            version,
            checked_at,
        });
    }

    /// Records a wrong prediction: another worker has written.
    pub(crate) fn record_foreign_write(&self) {
        self.undisturbed_checks.set(0);
        self.writes_before_check.set(0);
    }

    fn check(&self, now: Nanos) -> Option<u32> {
        let version = written_version(PROBE).ok()?;
        let undisturbed = match version == next(self.known.get().version) {
            true => self.undisturbed_checks.get().saturating_add(1),
            false => 0,
        };
        self.undisturbed_checks.set(undisturbed);
        self.writes_before_check
            .set(match undisturbed < SOLE_WRITER_AFTER {
                true => 0,
                false => SOLE_WRITER_AFTER,
            });
        self.known.set(Known {
            version,
            checked_at: CoarseTime::of(now),
        });
        Some(version)
    }
}

/// A version that no other key has, because the probe has it: see
/// [how a key is created](crate::shared_data).
pub(crate) fn foreign() -> Result<u32, Status> {
    written_version(PROBE)
}

/// Writes an empty value and returns its version.
fn written_version(key: &[u8]) -> Result<u32, Status> {
    abi::set_shared_data(key, &[], 0)?;
    abi::shared_data(key).map(|(_, version)| version)
}
