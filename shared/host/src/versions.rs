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
//! That holds only for a counter as described, which is [tried](Versions::open) when configuring; and
//! as long as the counter, which has 32 bits, does not come round in between. So versions are forgotten
//! after some [seconds](KNOWN_FOR), in which no machine writes four billion values under one lock.
//!
//! # How guesses come true
//!
//! The last known version stands in a gauge, which all plugins and workers of the process share: a
//! number that can be read and set without memory being allocated. So a guess is right unless somebody
//! else writes *while* this worker does. Gauges may be set in the wrong order; an older version is a
//! worse guess, but not a wrong one. (A newer one than there is would be wrong. Only another plugin of the
//! process could set that, and only on purpose: see `docs/security.md`.)

use crate::abi::{self, MetricKind, Status};

/// A value that nobody reads, and that is always empty: reading it allocates nothing.
const PROBE: &[u8] = b"portcullis/version";
/// Only for [`Versions::open`].
const OTHER_PROBE: &[u8] = b"portcullis/version_2";

const GAUGE: &str = "portcullis.shared_data_version";

/// For how long a version is known, in units of 2³⁰ nanoseconds.
pub(crate) const KNOWN_FOR: u32 = 8;

/// No version is known. The time in it is none that is near the present, and neither is its sum with
/// the present: after a hot restart Envoy adds the gauges of the old process, whose versions are others.
const UNKNOWN: u64 = 1 << 63;

/// What is known of the versions in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versions {
    gauge: u32,
}

/// A version, or a time: numbers that wrap.
pub(crate) fn is_newer(version: u32, than: u32) -> bool {
    version != than && version.wrapping_sub(than) <= u32::MAX / 2
}

/// The time by which is measured how old a version is.
pub(crate) fn units(now: u64) -> u32 {
    // It comes round after 146 years.
    (now >> 30) as u32
}

impl Versions {
    /// `None` if the host counts in another way than described, or keeps no gauges. Call it when
    /// configuring.
    pub(crate) fn open() -> Option<Self> {
        let gauge = abi::define_metric(MetricKind::Gauge, GAUGE).ok()?;
        let versions = Self { gauge };
        let counted = [PROBE, OTHER_PROBE, PROBE].map(written_version);
        let [Ok(first), Ok(second), Ok(third)] = counted else {
            return None;
        };
        let is_one_counter = is_newer(second, first) && is_newer(third, second);
        // Statistics can be switched off: they can be set then, but stay 0. What other workers set
        // meanwhile is not 0 either.
        let _ = abi::record_metric(gauge, UNKNOWN);
        let is_kept = abi::metric(gauge).is_ok_and(|value| value != 0);
        (is_one_counter && is_kept).then_some(versions)
    }

    /// A version that is not newer than the newest that was given; `None` if none is known.
    pub(crate) fn latest(self, now: u64) -> Option<u32> {
        let value = abi::metric(self.gauge).ok()?;
        let (at, version) = ((value >> 32) as u32, value as u32);
        let is_known = units(now).wrapping_sub(at) <= KNOWN_FOR;
        (is_known && version != 0).then_some(version)
    }

    /// The newest version that was given. This takes a write.
    pub(crate) fn ask(self) -> Option<u32> {
        written_version(PROBE).ok()
    }

    /// Tells everybody that this version was given.
    pub(crate) fn note(self, version: u32, now: u64) {
        let value = u64::from(units(now)) << 32 | u64::from(version);
        // Fails only for an id that does not exist.
        let _ = abi::record_metric(self.gauge, value);
    }
}

/// The version of an empty value after it was written.
fn written_version(key: &[u8]) -> Result<u32, Status> {
    abi::set_shared_data(key, &[], 0)?;
    abi::shared_data(key).map(|(_, version)| version)
}
