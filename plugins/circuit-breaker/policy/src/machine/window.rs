//! The last results of a key: those of some time, or a fixed number.
//!
//! # By time
//!
//! Ten buckets, each a tenth of the window wide (rounded up to whole nanoseconds) and aligned to the clock. A result
//! counts in the bucket of the time at which it is recorded, and leaves with that bucket: after nine to ten tenths of
//! the window. A worker whose clock is slightly behind counts in the newest bucket.
//!
//! # By count
//!
//! A ring of the last results with two bits each: failed, slow.
//!
//! # Layout
//!
//! | by time | |
//! |---|---|
//! | 8 bytes | number of the newest bucket: its time divided by the width |
//! | 10 × 12 bytes | results, failed, slow: bucket *n* is at position *n* mod 10 |
//!
//! | by count | |
//! |---|---|
//! | 2 bytes | number of results |
//! | 2 bytes | position of the next result |
//! | 125 bytes | result *i*: bits 2 (*i* mod 4) and the next one of byte *i* / 4 |
//!
//! Numbers are little-endian. Any bytes are a window: an invalid position is read as the first one.

use super::codec::{Reader, Writer};
use crate::window_size::WindowSize;
use portcullis_core::time::Nanos;

const BUCKETS: u64 = 10;

/// The largest number of results in a window by count.
pub(crate) const MAX_RESULTS: u16 = 500;

/// The bytes of a window.
pub(super) const SIZE: usize = 4 + MAX_RESULTS as usize / 4;

/// One result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// Numbers of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

impl Counts {
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }

    pub(super) fn add(&mut self, sample: Sample) {
        *self = self.and(Self {
            total: 1,
            failed: sample.failed.into(),
            slow: sample.slow.into(),
        });
    }

    /// The percentage of failures, rounded down; 0 without results.
    pub(crate) fn failure_rate(self) -> u8 {
        percent(self.failed, self.total)
    }

    /// The percentage of slow results, rounded down; 0 without results.
    pub(crate) fn slow_rate(self) -> u8 {
        percent(self.slow, self.total)
    }

    pub(super) fn write(self, writer: &mut Writer<'_>) {
        for number in [self.total, self.failed, self.slow] {
            writer.put(number.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut number = || u32::from_le_bytes(reader.take());
        Self {
            total: number(),
            failed: number(),
            slow: number(),
        }
    }
}

fn percent(part: u32, total: u32) -> u8 {
    let percent = (u64::from(part) * 100).checked_div(total.into());
    percent
        .and_then(|percent| u8::try_from(percent).ok())
        .unwrap_or(0)
}

/// Results as bytes. All 0 is an empty window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(pub(super) [u8; SIZE]);

impl Default for Window {
    fn default() -> Self {
        Self([0; SIZE])
    }
}

impl Window {
    /// The results in the window at this time.
    pub(super) fn counts(&self, window_size: WindowSize, now: Nanos) -> Counts {
        match window_size {
            WindowSize::Time(length) => Buckets::read(&self.0).at(length, now).sum(),
            WindowSize::Count(size) => Ring::read(&self.0, size).counts(),
        }
    }

    /// Adds a result, and returns the results in the window.
    pub(super) fn add(&mut self, window_size: WindowSize, now: Nanos, sample: Sample) -> Counts {
        match window_size {
            WindowSize::Time(length) => {
                let mut buckets = Buckets::read(&self.0).at(length, now);
                buckets.add(sample);
                self.0 = buckets.to_bytes();
                buckets.sum()
            }
            WindowSize::Count(size) => {
                let mut ring = Ring::read(&self.0, size);
                ring.push(sample);
                self.0 = ring.to_bytes();
                ring.counts()
            }
        }
    }
}

/// The results of each tenth of a window's time.
struct Buckets {
    newest: u64,
    counts: [Counts; BUCKETS as usize],
}

impl Buckets {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        Self {
            newest: u64::from_le_bytes(reader.take()),
            counts: std::array::from_fn(|_| Counts::read(&mut reader)),
        }
    }

    fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.put(self.newest.to_le_bytes());
        for counts in self.counts {
            counts.write(&mut writer);
        }
        bytes
    }

    /// The buckets at this time, without those that have left the window.
    fn at(mut self, length: Nanos, now: Nanos) -> Self {
        let current = now.get() / length.get().div_ceil(BUCKETS).max(1);
        let over = current.saturating_sub(self.newest).min(BUCKETS);
        self.newest = self.newest.max(current);
        for age in 0..over {
            if let Some(counts) = self.bucket(self.newest - age) {
                *counts = Counts::default();
            }
        }
        self
    }

    fn add(&mut self, sample: Sample) {
        if let Some(counts) = self.bucket(self.newest) {
            counts.add(sample);
        }
    }

    fn bucket(&mut self, number: u64) -> Option<&mut Counts> {
        // The remainder is small.
        self.counts.get_mut((number % BUCKETS) as usize)
    }

    fn sum(&self) -> Counts {
        let counts = self.counts.iter();
        counts.fold(Counts::default(), |sum, counts| sum.and(*counts))
    }
}

/// The last results, up to `size`.
struct Ring {
    size: u16,
    filled: u16,
    next: u16,
    results: [u8; MAX_RESULTS as usize / 4],
}

const FAILED: u8 = 0b01;
const SLOW: u8 = 0b10;
/// The same bit in all four results of a byte.
const ALL_FAILED: u8 = 0b0101_0101;
const ALL_SLOW: u8 = 0b1010_1010;

impl Ring {
    fn read(bytes: &[u8], size: u16) -> Self {
        let mut reader = Reader::new(bytes);
        Self {
            size,
            filled: u16::from_le_bytes(reader.take()).min(size),
            next: u16::from_le_bytes(reader.take()),
            results: reader.take(),
        }
    }

    fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.put(self.filled.to_le_bytes());
        writer.put(self.next.to_le_bytes());
        writer.put(self.results);
        bytes
    }

    fn push(&mut self, sample: Sample) {
        if self.next >= self.size {
            self.next = 0;
        }
        let result = u8::from(sample.failed) * FAILED + u8::from(sample.slow) * SLOW;
        let shift = self.next % 4 * 2;
        if let Some(byte) = self.results.get_mut(usize::from(self.next / 4)) {
            *byte = *byte & !(0b11 << shift) | result << shift;
        }
        self.next += 1;
        self.filled = self.filled.saturating_add(1).min(self.size);
    }

    fn counts(&self) -> Counts {
        let count = |mask: u8| {
            let bytes = self.results.iter();
            bytes.map(|byte| (byte & mask).count_ones()).sum::<u32>()
        };
        Counts {
            total: self.filled.into(),
            failed: count(ALL_FAILED),
            slow: count(ALL_SLOW),
        }
    }
}
