//! What all workers can read.

use super::Schedule;
use super::record::Record;

/// A document as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Which document this is: another one has another number. 0 when there is none.
    pub generation: u64,
    /// The document; empty when there is none.
    pub body: &'a [u8],
    /// When the fetch that brought it was started; 0 when there is none.
    pub fetched_at: u64,
    /// How many fetches have failed since.
    pub failures: u64,
    /// Whether the bytes could not be read; they then count as no document.
    pub was_malformed: bool,
}

/// What a document is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// There is none.
    Never,
    /// It is as it should be.
    Fresh,
    /// It could not be fetched again in time, and is still used.
    Stale,
    /// It is too old to be used.
    Expired,
}

impl Freshness {
    /// Whether the document may be used.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Fresh | Self::Stale)
    }
}

impl<'a> View<'a> {
    /// Reads the shared value.
    pub fn read(bytes: &'a [u8]) -> Self {
        let found = Record::read(bytes);
        let was_malformed = found.is_none();
        let (record, body) = found.unwrap_or_default();
        Self {
            generation: record.generation,
            body,
            fetched_at: record.fetched_at,
            failures: record.failures,
            was_malformed,
        }
    }

    /// What the document is good for now.
    pub fn freshness(&self, schedule: &Schedule, now: u64) -> Freshness {
        match self.generation {
            0 => Freshness::Never,
            _ => schedule.freshness(self.fetched_at, now),
        }
    }

    /// How old the document is, in nanoseconds, if there is one.
    pub fn age(&self, now: u64) -> Option<u64> {
        (self.generation > 0).then(|| now.saturating_sub(self.fetched_at))
    }
}
