//! The document as every worker can read it.

use super::Schedule;
use super::record::Record;
use portcullis_core::time::Nanos;

/// A document as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The number of this document; another document has another number. 0 without a document.
    pub generation: u64,
    /// The document; empty without one.
    pub body: &'a [u8],
    /// The start of the fetch that brought it; 0 without a document.
    pub fetched_at: Nanos,
    /// The number of failed fetches since then.
    pub failures: u64,
    /// Whether the bytes were unreadable; they then count as no document.
    pub was_malformed: bool,
}

/// How fresh a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// There is no document.
    Never,
    /// It is younger than `refresh`.
    Fresh,
    /// Its refresh is overdue; it is still used.
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

    /// How fresh the document is now.
    pub fn freshness(&self, schedule: &Schedule, now: Nanos) -> Freshness {
        match self.generation {
            0 => Freshness::Never,
            _ => schedule.freshness(self.fetched_at, now),
        }
    }

    /// The age of the document, if there is one.
    pub fn age(&self, now: Nanos) -> Option<Nanos> {
        (self.generation > 0).then(|| now - self.fetched_at)
    }
}
