//! Clocks.

use portcullis_core::time::{Nanos, UnixSeconds};

use crate::abi::{self, Status};
use crate::error::Error;
use crate::shared_data;

/// A clock that nobody can set: it starts at the wall-clock time at which the process configured its first
/// plugin, and then advances with the monotonic clock. All workers that share data read the same time.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// Nanoseconds to add to the monotonic clock. The addition wraps, because the wall clock may be the smaller
    /// of the two.
    offset: Result<u64, Status>,
}

const OFFSET: &[u8] = b"portcullis/steady_clock";

impl SteadyClock {
    /// The call that it depends on.
    pub(crate) const CALL: &str = "clock_time_get";

    /// The clock of this process; the first call starts it. Call it when configuring.
    pub fn open() -> Self {
        let offset = || {
            let wall = abi::wall_time()?;
            Ok(wall.get().wrapping_sub(abi::monotonic_time()?.get()))
        };
        Self {
            offset: offset().map(|offset: u64| {
                let shared = shared_data::seeded(OFFSET, || offset.to_le_bytes());
                shared.map_or(offset, u64::from_le_bytes)
            }),
        }
    }

    /// The current time, outside of streams; within one, use [`Exchange::now`](crate::Exchange::now). If Envoy does
    /// not provide it, this is an error, never a time that stands still.
    pub fn now(self) -> Result<Nanos, Error> {
        self.at(abi::monotonic_time().map_err(Error::of(Self::CALL))?)
    }

    /// The time at this time of the monotonic clock.
    pub(crate) fn at(self, monotonic: Nanos) -> Result<Nanos, Error> {
        let offset = self.offset.map_err(Error::of(Self::CALL))?;
        Ok(Nanos::new(monotonic.get().wrapping_add(offset)))
    }
}

/// The time on the wall clock, which can be set. Use it only to compare with times from elsewhere, such as those in
/// a token.
pub fn wall_clock() -> Result<UnixSeconds, Error> {
    let time = abi::wall_time().map_err(Error::of(SteadyClock::CALL))?;
    Ok(UnixSeconds::new(time.floor_secs()))
}
