//! Virtual time: nothing here reads the machine's clock.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sync::lock;

/// Where the wall clock starts unless the test says otherwise: 2026-01-01 00:00:00 UTC.
const WALL_START: Duration = Duration::from_secs(1_767_225_600);

/// Where the monotonic clock starts. Not zero, so that a filter that subtracts an hour is not
/// spared the arithmetic.
const MONOTONIC_START: Duration = Duration::from_secs(86_400);

/// The two clocks of a host. They advance together; the wall clock alone can be set.
#[derive(Debug)]
pub(crate) struct Clock {
    now: Mutex<Now>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: Duration,
    pub(crate) monotonic: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            now: Mutex::new(Now {
                wall: WALL_START,
                monotonic: MONOTONIC_START,
            }),
        }
    }

    pub(crate) fn now(&self) -> Now {
        *lock(&self.now)
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.now().monotonic
    }

    /// Moves both clocks forward to the given monotonic time; never back.
    pub(crate) fn advance_to(&self, monotonic: Duration) {
        let mut now = lock(&self.now);
        let step = monotonic.saturating_sub(now.monotonic);
        now.monotonic += step;
        now.wall += step;
    }

    pub(crate) fn set_wall(&self, time: SystemTime) {
        lock(&self.now).wall = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    }
}

/// The value of a `date` header: `Thu, 01 Jan 1970 00:00:00 GMT`.
pub(crate) fn http_date(wall: Duration) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = wall.as_secs();
    let days = seconds / 86_400;
    let weekday = WEEKDAYS[(days % 7) as usize];
    let (mut year, mut day) = (1970, days);
    let leap = |year: u64| {
        let multiple_of = |number: u64| year % number == 0;
        multiple_of(4) && (!multiple_of(100) || multiple_of(400))
    };
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{weekday}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT",
        day + 1,
        MONTHS[month]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_across_leap_years() {
        let date = |seconds| http_date(Duration::from_secs(seconds));
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_767_225_600), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn the_monotonic_clock_never_goes_back_and_the_wall_clock_may() {
        let clock = Clock::new();
        let start = clock.now();
        clock.advance_to(start.monotonic + Duration::from_secs(5));
        clock.advance_to(start.monotonic);
        clock.set_wall(UNIX_EPOCH);
        assert_eq!(clock.monotonic(), start.monotonic + Duration::from_secs(5));
        assert_eq!(clock.now().wall, Duration::ZERO);
    }
}
