//! Clocks.

use crate::abi;
use crate::shared_data;

/// Nanoseconds since the Unix epoch on a clock that nobody can set: the wall clock as it was when
/// the first plugin of the process was configured, and the monotonic clock from then on. All workers
/// that share data read the same time from it.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// From the monotonic clock to this one.
    offset: u64,
}

const OFFSET: &[u8] = b"portcullis/steady_clock";

impl SteadyClock {
    /// The clock of this process, started if it was not yet. Call it when configuring.
    pub fn open() -> Self {
        let offset = || abi::wall_nanos().wrapping_sub(abi::monotonic_nanos());
        let shared = shared_data::seeded(OFFSET, || offset().to_le_bytes());
        Self {
            offset: shared.map_or_else(offset, u64::from_le_bytes),
        }
    }

    /// The time now.
    pub fn now(self) -> u64 {
        self.offset.wrapping_add(abi::monotonic_nanos())
    }
}

/// Nanoseconds since the Unix epoch on the wall clock, which somebody may set: for times that come
/// from elsewhere, as those in a token do.
pub fn wall_clock() -> u64 {
    abi::wall_nanos()
}
