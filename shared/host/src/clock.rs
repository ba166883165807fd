//! Clocks.

use portcullis_core::time::{Nanos, UnixSeconds};

use crate::backend::backend;
use crate::error::Error;

/// A clock that nobody can set: it starts at the wall-clock time at which the process configured its first
/// plugin, and then advances with the monotonic clock. All workers that share data read the same time.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// Nanoseconds to add to the monotonic clock. The addition wraps, because the wall clock may be the smaller
    /// of the two.
    offset: Result<u64, Error>,
}

impl SteadyClock {
    /// The clock of this process; the first call starts it. Call it when configuring.
    pub fn open() -> Self {
        Self {
            offset: backend().steady_offset(),
        }
    }

    /// The current time, outside of streams; within one, use [`Exchange::now`](crate::Exchange::now). If Envoy does
    /// not provide it, this is an error, never a time that stands still.
    pub fn now(self) -> Result<Nanos, Error> {
        self.at(backend().monotonic_time()?)
    }

    /// The time at this time of the monotonic clock.
    pub(crate) fn at(self, monotonic: Nanos) -> Result<Nanos, Error> {
        Ok(Nanos::new(monotonic.get().wrapping_add(self.offset?)))
    }
}

/// The time on the wall clock, which can be set. Use it only to compare with times from elsewhere, such as those in
/// a token.
pub fn wall_clock() -> Result<UnixSeconds, Error> {
    let time = backend().wall_time()?;
    Ok(UnixSeconds::new(time.floor_secs()))
}
