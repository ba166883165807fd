//! Clocks and random numbers of the process.
//!
//! This is the only place that reads a clock; plugins and policies get the time as an argument.

use std::sync::{LazyLock, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use portcullis_core::time::Nanos;

/// The system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// The start of both clocks: the first use of any of them.
struct Start {
    monotonic: Instant,
    wall: Nanos,
}

static START: LazyLock<Start> = LazyLock::new(|| Start {
    monotonic: instant(),
    wall: wall(),
});

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads this clock"
)]
fn instant() -> Instant {
    Instant::now()
}

/// The time since the first use of a clock in this process. Nobody can set this clock.
pub fn monotonic() -> Nanos {
    // The start comes first: the first call must not read the clock before it.
    let start = START.monotonic;
    instant().saturating_duration_since(start).into()
}

/// The time on the steady clock at the start of the monotonic one. All workers add the same offset, so they read the
/// same time: the wall-clock time of the start, which then advances with the monotonic clock.
pub fn steady_offset() -> Nanos {
    START.wall
}

/// The time on the wall clock since the Unix epoch, or the epoch itself for an earlier time. This clock can be set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads this clock"
)]
pub fn wall() -> Nanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().into()
}

/// Fills the bytes with unpredictable ones, from the operating system.
pub fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

/// The seed for hashing the keys of tables: random, and the same for the life of the process. After an error the next
/// call tries again.
pub fn hash_seed() -> Result<[u8; 16], NoRandomness> {
    static SEED: OnceLock<[u8; 16]> = OnceLock::new();
    if let Some(seed) = SEED.get() {
        return Ok(*seed);
    }
    let mut fresh = [0; 16];
    random(&mut fresh)?;
    // Another worker may have been faster; then its seed counts.
    Ok(*SEED.get_or_init(|| fresh))
}
