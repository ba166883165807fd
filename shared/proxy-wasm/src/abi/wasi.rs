//! Clocks and randomness, which come from WASI.

use portcullis_core::time::Nanos;
use portcullis_host::Status;

const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    fn random_get(buffer: *mut u8, size: usize) -> u16;
}

/// The time on a clock that never goes back. All workers of one process read the same clock.
pub(crate) fn monotonic_time() -> Result<Nanos, Status> {
    time(CLOCK_MONOTONIC)
}

/// The time since the Unix epoch, on a clock that can be set.
pub(crate) fn wall_time() -> Result<Nanos, Status> {
    time(CLOCK_REALTIME)
}

fn time(clock: u32) -> Result<Nanos, Status> {
    let mut nanos = 0;
    // SAFETY: `nanos` outlives the call and has the type that the host writes.
    check(unsafe { clock_time_get(clock, 0, &mut nanos) })?;
    Ok(Nanos::new(nanos))
}

/// Fills `buffer` with unpredictable bytes (Envoy: BoringSSL's generator).
pub(crate) fn random(buffer: &mut [u8]) -> Result<(), Status> {
    // SAFETY: the pointer and the size describe `buffer`, which the host fills.
    check(unsafe { random_get(buffer.as_mut_ptr(), buffer.len()) })
}

/// The meaning of an error number of WASI.
fn check(errno: u16) -> Result<(), Status> {
    const ENOTCAPABLE: u16 = 76;
    match errno {
        0 => Ok(()),
        ENOTCAPABLE => Err(Status::NotCapable),
        errno => Err(Status::Other(errno.into())),
    }
}
