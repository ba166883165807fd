//! Clocks.

use portcullis_core::time::{Nanos, UnixSeconds};

use crate::abi::{self, Status};
use crate::exchange::Error;
use crate::shared_data;

/// Nanoseconds since the Unix epoch on a clock that nobody can set: the wall clock as it was when
/// the first plugin of the process was configured, and the monotonic clock from then on. All workers
/// that share data read the same time from it.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// From the monotonic clock to this one.
    offset: Result<u64, Status>,
}

const CLOCK: &str = "clock_time_get";
const OFFSET: &[u8] = b"portcullis/steady_clock";

impl SteadyClock {
    /// The clock of this process, started if it was not yet. Call it when configuring.
    pub fn open() -> Self {
        let offset = || Ok(abi::wall_nanos()?.wrapping_sub(abi::monotonic_nanos()?));
        Self {
            offset: offset().map(|offset: u64| {
                let shared = shared_data::seeded(OFFSET, || offset.to_le_bytes());
                shared.map_or(offset, u64::from_le_bytes)
            }),
        }
    }

    /// The time now. An error, never a time that stands still, if Envoy does not say.
    pub fn now(self) -> Result<Nanos, Error> {
        let now = || {
            Ok(Nanos::new(
                self.offset?.wrapping_add(abi::monotonic_nanos()?),
            ))
        };
        now().map_err(Error::of(CLOCK))
    }
}

/// The time on the wall clock, which somebody may set: for times that come from elsewhere, as those in a token do.
pub fn wall_clock() -> Result<UnixSeconds, Error> {
    let nanos = abi::wall_nanos().map_err(Error::of(CLOCK))?;
    Ok(UnixSeconds::new(Nanos::new(nanos).floor_secs()))
}
