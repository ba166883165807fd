//! A library for `LD_PRELOAD` that shifts a process's wall clock by the seconds in `SHIFTED_CLOCK`. Its other clocks stay
//! as they are.
//!
//! libfaketime does the same and more, but Envoy does not start with it: its constructor looks up functions, the lookup
//! calls tcmalloc's `malloc`, which reads the clock, which waits for the constructor. So nothing here allocates, locks, or
//! looks up a function: the kernel is asked directly.

#![cfg(target_os = "linux")]

use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use libc::{
    CLOCK_REALTIME, CLOCK_REALTIME_COARSE, SYS_clock_gettime, c_int, c_void, clockid_t, time_t,
    timespec, timeval,
};

/// The shift in seconds, once it is known.
static SHIFT: AtomicI64 = AtomicI64::new(UNKNOWN);
const UNKNOWN: i64 = i64::MIN;

fn shift() -> i64 {
    match SHIFT.load(Ordering::Relaxed) {
        UNKNOWN => {
            // SAFETY: the name ends with a zero, and so does the value, which nobody changes: Envoy sets no variable.
            let shift = unsafe {
                match libc::getenv(c"SHIFTED_CLOCK".as_ptr()) {
                    value if value.is_null() => 0,
                    value => libc::atoll(value),
                }
            };
            SHIFT.store(shift, Ordering::Relaxed);
            shift
        }
        shift => shift,
    }
}

/// The shifted time.
fn wall_time() -> timespec {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time can be written to.
    unsafe { clock_gettime(CLOCK_REALTIME, &raw mut time) };
    time
}

/// # Safety
/// As in libc: `time` can be written to.
// SAFETY: the name is libc's, which this replaces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's promise is the kernel's condition.
    let result = unsafe { libc::syscall(SYS_clock_gettime, clock, time) };
    if result == 0 && matches!(clock, CLOCK_REALTIME | CLOCK_REALTIME_COARSE) {
        // SAFETY: the kernel has written to it.
        unsafe { (*time).tv_sec += shift() };
    }
    if result == 0 { 0 } else { -1 }
}

/// # Safety
/// As in libc: `time` can be written to. The zone is obsolete and stays as it is.
// SAFETY: the name is libc's, which this replaces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    let now = wall_time();
    let now = timeval {
        tv_sec: now.tv_sec,
        tv_usec: now.tv_nsec / 1000,
    };
    // SAFETY: the caller's promise.
    unsafe { ptr::write(time, now) };
    0
}

/// # Safety
/// As in libc: `time` is null or can be written to.
// SAFETY: the name is libc's, which this replaces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut time_t) -> time_t {
    let now = wall_time().tv_sec;
    if !time.is_null() {
        // SAFETY: the caller's promise.
        unsafe { ptr::write(time, now) };
    }
    now
}
