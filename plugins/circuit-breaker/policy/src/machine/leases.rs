//! Permits that return on their own.
//!
//! A proxy can lose a request silently: its VM is reloaded, or its stream is never heard of again. A permit is
//! therefore lent for a **term**. The holder returns it, or it expires, after one term at the earliest and 5/4 of a
//! term at the latest.
//!
//! There is no list of permits. Time is cut into **slices** of a quarter of the term (rounded up), and the state holds
//! the number of permits that were taken in each of the last five slices. The permits of a slice expire together when
//! the slice is no longer one of the five:
//!
//! ```text
//!             taken here                        expires
//!     ┌────────┬──x─────┬────────┬────────┬────────┬────────
//!     0        1        2        3        4        5        6
//! ```
//!
//! The holder of a permit remembers its slice. To return the permit is to subtract one in that slice, if it is still
//! one of the five; an expired permit cannot be returned a second time. So the sum of the five is the number of
//! permits that are out, and it never falls below 0.
//!
//! A worker whose clock is slightly behind takes permits from the newest slice.

use super::codec::{Reader, Writer};
use portcullis_core::time::Nanos;

const SLICES: u64 = 5;

/// The time for which permits are lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    /// The width of a slice in nanoseconds, at least 1.
    slice: u64,
}

impl Term {
    pub(crate) fn new(length: Nanos) -> Self {
        Self {
            slice: length.get().div_ceil(SLICES - 1).max(1),
        }
    }

    /// The number of the slice at this time.
    fn slice_at(self, now: Nanos) -> u64 {
        now.get() / self.slice
    }
}

/// The slice in which a permit was taken, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice(u64);

/// The permits that are out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leases {
    /// The number of the newest slice.
    newest: u64,
    /// How many permits were taken in slice *n*, at position *n* mod 5.
    taken: [u32; SLICES as usize],
}

impl Leases {
    /// Expires permits whose term is over, and returns their number.
    pub(super) fn expire(&mut self, term: Term, now: Nanos) -> u32 {
        let current = term.slice_at(now);
        let over = current.saturating_sub(self.newest).min(SLICES);
        self.newest = self.newest.max(current);
        let mut expired = 0_u32;
        for age in 0..over {
            if let Some(taken) = self.slice(self.newest - age) {
                expired = expired.saturating_add(std::mem::take(taken));
            }
        }
        expired
    }

    /// How many permits are out.
    pub(super) fn out(&self) -> u32 {
        let taken = self.taken.iter();
        taken.fold(0, |sum: u32, taken| sum.saturating_add(*taken))
    }

    /// Takes a permit.
    pub(super) fn take(&mut self) -> Slice {
        let newest = self.newest;
        if let Some(taken) = self.slice(newest) {
            *taken = taken.saturating_add(1);
        }
        Slice(newest)
    }

    /// Returns a permit. False if it had expired.
    pub(super) fn return_permit(&mut self, Slice(number): Slice) -> bool {
        let is_there = number <= self.newest && self.newest - number < SLICES;
        match self.slice(number).filter(|_| is_there) {
            Some(taken) => {
                *taken = taken.saturating_sub(1);
                true
            }
            None => false,
        }
    }

    fn slice(&mut self, number: u64) -> Option<&mut u32> {
        // The remainder is small.
        self.taken.get_mut((number % SLICES) as usize)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.put(self.newest.to_le_bytes());
        for taken in self.taken {
            writer.put(taken.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            newest: u64::from_le_bytes(reader.take()),
            taken: std::array::from_fn(|_| u32::from_le_bytes(reader.take())),
        }
    }
}
