//! The two functions of the C library that the standard library and `getrandom` ask for time and
//! randomness. A guest gets its host's; everybody else gets the machine's.
//!
//! A symbol that the program defines itself wins over the C library's, for the code that is linked
//! into the program. The library's own is found behind it.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::sync::LazyLock;
use std::time::Duration;

use crate::vm::{next_symbol, of_the_guest};

/// `struct timespec`.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: c_long,
}

const REALTIME: c_int = 0;
/// `CLOCK_MONOTONIC`, `CLOCK_MONOTONIC_RAW` and their coarse and boot-time relatives.
const MONOTONIC: [c_int; 4] = [1, 4, 6, 7];
const REALTIME_COARSE: c_int = 5;

type ClockGetTime = unsafe extern "C" fn(c_int, *mut Time) -> c_int;
type GetRandom = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;

static CLOCK_GETTIME: LazyLock<Option<ClockGetTime>> = LazyLock::new(|| {
    let function = next_symbol(c"clock_gettime");
    // SAFETY: the symbol has this type in the C library; null becomes `None`.
    unsafe { std::mem::transmute::<*mut c_void, Option<ClockGetTime>>(function) }
});

static GETRANDOM: LazyLock<Option<GetRandom>> = LazyLock::new(|| {
    let function = next_symbol(c"getrandom");
    // SAFETY: the symbol has this type in the C library; null becomes `None`.
    unsafe { std::mem::transmute::<*mut c_void, Option<GetRandom>>(function) }
});

/// # Safety
/// `time` points to a `timespec` that the caller owns.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Time) -> c_int {
    let now = of_the_guest(|shared| match clock {
        REALTIME | REALTIME_COARSE => Some(shared.clock.now().wall),
        clock if MONOTONIC.contains(&clock) => Some(shared.clock.now().monotonic),
        _ => None,
    });
    if let Some(now) = now.flatten() {
        // SAFETY: as the caller promises.
        unsafe { *time = Time::of(now) };
        return 0;
    }
    match *CLOCK_GETTIME {
        // SAFETY: these are the caller's arguments, and the function is the C library's.
        Some(function) => unsafe { function(clock, time) },
        None => -1,
    }
}

impl Time {
    fn of(time: Duration) -> Self {
        Self {
            seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: c_long::from(time.subsec_nanos()),
        }
    }
}

/// # Safety
/// `buffer` points to `size` bytes that the caller owns.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, size: usize, flags: c_uint) -> isize {
    let filled = of_the_guest(|shared| {
        if size > 0 {
            // SAFETY: as the caller promises.
            let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), size) };
            shared.random.fill(bytes);
        }
        isize::try_from(size).unwrap_or(isize::MAX)
    });
    if let Some(filled) = filled {
        return filled;
    }
    match *GETRANDOM {
        // SAFETY: these are the caller's arguments, and the function is the C library's.
        Some(function) => unsafe { function(buffer, size, flags) },
        None => -1,
    }
}
