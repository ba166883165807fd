//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// The timeout for everything that a test waits for. It is generous, because reaching it is always a failure, and build
/// machines are slow and busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The interval for polling a file or Envoy's admin interface.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Calls `look` until it succeeds. Its error describes the expected and the current state.
///
/// # Panics
///
/// With this error, after [`PATIENCE`].
pub fn wait_for<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    poll(POLL_INTERVAL, &mut look)
}

/// Waits until the condition is true. It may be costly, so it is asked less often than in [`wait_for`].
///
/// # Panics
///
/// With the description, after [`PATIENCE`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    poll(Duration::from_millis(20), &mut || match is_so() {
        true => Ok(()),
        false => Err(what.to_owned()),
    });
}

fn poll<T>(interval: Duration, look: &mut dyn FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(what) if started.elapsed() > PATIENCE => panic!("waited for {what}"),
            Err(_) => std::thread::sleep(interval),
        }
    }
}
