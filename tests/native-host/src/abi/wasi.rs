//! The two functions of WASI preview 1 that guests import by name for time and randomness.

use crate::hostcalls::Guest;
use crate::shared::Shared;
use crate::vm::with_local;

/// WASI's error number for an argument that makes no sense.
const EINVAL: u16 = 28;
/// WASI's error number for a call that the VM lacks the capability for.
const ENOTCAPABLE: u16 = 76;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// # Safety
/// `time` points to a `u64` that the caller owns.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_time_get(clock: u32, _precision: u64, time: *mut u64) -> u16 {
    let now = match host("clock_time_get", |shared| shared.clock.now()) {
        Ok(now) => now,
        Err(errno) => return errno,
    };
    let now = match clock {
        REALTIME => now.wall,
        MONOTONIC => now.monotonic,
        _ => return EINVAL,
    };
    // SAFETY: as the caller promises.
    unsafe { *time = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) };
    0
}

/// # Safety
/// `buffer` points to `size` bytes that the caller owns.
#[unsafe(no_mangle)]
unsafe extern "C" fn random_get(buffer: *mut u8, size: usize) -> u16 {
    if size == 0 {
        return 0;
    }
    // SAFETY: as the caller promises.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, size) };
    match host("random_get", |shared| shared.random.fill(buffer)) {
        Ok(()) => 0,
        Err(errno) => errno,
    }
}

/// Runs the host call of this name, unless the VM lacks the capability.
fn host<R>(name: &str, call: impl FnOnce(&Shared) -> R) -> Result<R, u16> {
    let called = with_local(|shared, vm| {
        let may_call = Guest { shared, vm }.may_call("WASI", name);
        may_call.then(|| call(shared)).ok_or(ENOTCAPABLE)
    });
    called.unwrap_or(Err(EINVAL))
}
