//! Clocks and random numbers of the process.
//!
//! This is the only place that reads a clock; plugins and policies get the time as an argument.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_core::time::Nanos;

/// The system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// The time on a clock that nobody can set. All threads read the same clock.
pub fn monotonic() -> Nanos {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time. It cannot fail: Linux always has this clock. `Instant` reads the same one, and
    // takes twice as many instructions.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Nanos::new(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// The nanoseconds from the monotonic clock to the steady one, which began with the wall-clock time of the first call. The
/// addition wraps, because the wall clock may be the smaller of the two.
pub fn steady_offset() -> u64 {
    static OFFSET: OnceLock<u64> = OnceLock::new();
    *OFFSET.get_or_init(|| wall().get().wrapping_sub(monotonic().get()))
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
