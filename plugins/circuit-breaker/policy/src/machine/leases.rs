//! Permits that come back by themselves.
//!
//! A proxy can lose a request without a word: its VM is reloaded, its stream is never heard of
//! again. A permit is therefore lent for a **term**. Who has it gives it back, or else it expires, after
//! one term at the earliest and 5/4 of it at the latest.
//!
//! There is no list of permits. Time is cut into **slices** of a quarter of the term (rounded up), and
//! what is kept is how many permits were taken in each of the last five slices. A slice's permits expire
//! together when it is no longer among them:
//!
//! ```text
//!             taken here                        expires
//!     ┌────────┬──x─────┬────────┬────────┬────────┬────────
//!     0        1        2        3        4        5        6
//! ```
//!
//! Whoever took a permit remembers its slice. To give it back is to subtract one there, if that slice is
//! still among the five; what has expired cannot be given back twice. So the sum of the five is the
//! number of permits that are out, and it cannot go below 0.
//!
//! A worker whose clock is a little behind takes permits from the newest slice.

use super::codec::{Reader, Writer};

const SLICES: u64 = 5;

/// For how long permits are lent: the width of a slice in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term(u64);

impl Term {
    pub(crate) fn new(nanoseconds: u64) -> Self {
        Self(nanoseconds.div_ceil(SLICES - 1).max(1))
    }
}

/// When a permit was taken: the number of the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice(u64);

/// The permits that are out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leases {
    newest: u64,
    /// By number of the slice, modulo their number.
    taken: [u32; SLICES as usize],
}

impl Leases {
    /// Lets what is over expire, and returns how many permits that were.
    pub(super) fn expire(&mut self, term: Term, now: u64) -> u32 {
        let current = now / term.0;
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

    /// Gives a permit back, unless it has expired; whether it had not.
    pub(super) fn give_back(&mut self, Slice(number): Slice) -> bool {
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
