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
//! as long as the counter, which has 32 bits, does not come round in between. So a guess is believed
//! for some [seconds](KNOWN_FOR) only, and what is known, from which guesses are made, is
//! [asked for](Versions::latest) anew after as many: no machine writes four billion values under one
//! lock in that time.
//!
//! # How guesses come true
//!
//! A worker that writes makes the newest version that it knows one newer. That is right for as long as
//! nobody else writes. For those who do, the newest version stands in a gauge, too, which all plugins and
//! workers of the process share: a number that can be read and set without memory being allocated. A
//! worker with company looks at it before each write and sets it after that, so that its guess is right
//! unless somebody else writes *while* it does. A worker that finds it as it left it, [so many
//! times](ALONE) in a row, looks only once in as many writes.
//!
//! Gauges may be set in the wrong order, and workers that take themselves for alone are behind; an older
//! version is a worse guess, but not a wrong one. (A newer one than there is would be wrong. Only another
//! plugin of the process could set that, and only on purpose: see `docs/security.md`.)

use std::cell::Cell;

use crate::abi::{self, MetricKind, Status};

/// A value that nobody reads, and that is always empty: reading it allocates nothing.
const PROBE: &[u8] = b"portcullis/version";
/// Only for [`Versions::open`].
const OTHER_PROBE: &[u8] = b"portcullis/version_2";

const GAUGE: &str = "portcullis.shared_data_version";

/// For how long something is known, in units of 2³⁰ nanoseconds.
const KNOWN_FOR: u32 = 8;

/// Who has found the gauge as it left it so many times is alone.
const ALONE: u32 = 64;

/// No version is known. The time in it is none that is near the present, and neither is its sum with
/// the present: after a hot restart Envoy adds the gauges of the old process, whose versions are others.
const UNKNOWN: Known = Known {
    version: 0,
    at: 1 << 31,
};

/// What a worker knows of the versions in this process.
#[derive(Debug)]
pub(crate) struct Versions {
    gauge: u32,
    known: Cell<Known>,
    /// What it has last set the gauge to.
    noted: Cell<Known>,
    /// How many times in a row it has found the gauge so.
    found: Cell<u32>,
    /// How many writes there are before it looks again.
    unseen: Cell<u32>,
    /// Whether to tell the others which version the present write gets.
    tells: Cell<bool>,
}

/// A version that is not newer than the newest that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    version: u32,
    /// When it, or the one from which it was counted up, was the newest.
    at: u32,
}

impl Known {
    /// As a number for the gauge.
    fn to_gauge(self) -> u64 {
        u64::from(self.at) << 32 | u64::from(self.version)
    }

    fn from_gauge(value: u64) -> Self {
        Self {
            version: value as u32,
            at: (value >> 32) as u32,
        }
    }

    fn is_recent(self, now: u64) -> bool {
        self.version != 0 && is_recent(self.at, now)
    }
}

/// A version, or a time: numbers that wrap.
fn is_newer(version: u32, than: u32) -> bool {
    version != than && version.wrapping_sub(than) <= u32::MAX / 2
}

/// The time by which is measured how old a version is.
pub(crate) fn units(now: u64) -> u32 {
    // It comes round after 146 years.
    (now >> 30) as u32
}

/// Whether what was known at that time may still be believed.
pub(crate) fn is_recent(at: u32, now: u64) -> bool {
    units(now).wrapping_sub(at) <= KNOWN_FOR
}

impl Versions {
    /// `None` if the host counts in another way than described, or keeps no gauges. Call it when
    /// configuring.
    pub(crate) fn open() -> Option<Self> {
        let gauge = abi::define_metric(MetricKind::Gauge, GAUGE).ok()?;
        let counted = [PROBE, OTHER_PROBE, PROBE].map(written_version);
        let [Ok(first), Ok(second), Ok(third)] = counted else {
            return None;
        };
        let is_one_counter = is_newer(second, first) && is_newer(third, second);
        // Statistics can be switched off: they can be set then, but stay 0. What other workers set
        // meanwhile is not 0 either.
        let _ = abi::record_metric(gauge, UNKNOWN.to_gauge());
        let is_kept = abi::metric(gauge).is_ok_and(|value| value != 0);
        (is_one_counter && is_kept).then_some(Self {
            gauge,
            known: Cell::new(UNKNOWN),
            noted: Cell::new(UNKNOWN),
            found: Cell::new(0),
            unseen: Cell::new(0),
            tells: Cell::new(false),
        })
    }

    /// A version that is not newer than the newest that was given, for a write; `None` if none can be
    /// had.
    pub(crate) fn latest(&self, now: u64) -> Option<u32> {
        let unseen = self.unseen.get().checked_sub(1);
        self.tells.set(unseen.is_none());
        match unseen {
            Some(unseen) => self.unseen.set(unseen),
            None => self.look(now),
        }
        match self.known.get() {
            known if known.is_recent(now) => Some(known.version),
            _ => self.ask(now),
        }
    }

    /// The newest version that was given. This takes a write.
    pub(crate) fn ask(&self, now: u64) -> Option<u32> {
        let version = written_version(PROBE).ok()?;
        let at = units(now);
        self.known.set(Known { version, at });
        self.tells.set(true);
        Some(version)
    }

    /// Notes a version that was given since the [latest](Self::latest).
    pub(crate) fn note(&self, version: u32) {
        let at = self.known.get().at;
        let known = Known { version, at };
        self.known.set(known);
        if self.tells.get() {
            // Fails only for an id that does not exist.
            let _ = abi::record_metric(self.gauge, known.to_gauge());
            self.noted.set(known);
            if self.found.get() >= ALONE {
                self.unseen.set(ALONE);
            }
        }
    }

    /// A guess was wrong: somebody else has written.
    pub(crate) fn doubt(&self) {
        self.found.set(0);
        self.unseen.set(0);
    }

    /// Learns from the gauge what others have noted.
    fn look(&self, now: u64) {
        let Ok(value) = abi::metric(self.gauge) else {
            return;
        };
        let (noted, known) = (Known::from_gauge(value), self.known.get());
        self.found.set(match noted == self.noted.get() {
            true => self.found.get().saturating_add(1),
            false => 0,
        });
        let is_news = !known.is_recent(now) || is_newer(noted.version, known.version);
        if noted.is_recent(now) && is_news {
            self.known.set(noted);
        }
    }
}

/// The version of an empty value after it was written.
fn written_version(key: &[u8]) -> Result<u32, Status> {
    abi::set_shared_data(key, &[], 0)?;
    abi::shared_data(key).map(|(_, version)| version)
}
