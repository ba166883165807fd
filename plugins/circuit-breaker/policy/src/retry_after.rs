//! For how long a failing upstream asks to be left alone.
//!
//! `Retry-After` (RFC 9110, section 10.2.3) is a number of seconds, or a date. A date is compared with
//! the response's own `Date`, so that it does not matter whether the two clocks agree; without one,
//! with the time now. Of the three formats of dates only the one that servers must write is
//! read (IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`). What cannot be read asks for nothing.

use portcullis_core::headers::HeaderMap;

const SECOND: u64 = 1_000_000_000;

/// The time in nanoseconds; 0 if none is asked for. `now` is in nanoseconds since the Unix epoch.
pub(super) fn retry_after(headers: &HeaderMap, now: u64) -> u64 {
    let text = |name| std::str::from_utf8(headers.get(name)?).ok();
    let Some(value) = text("retry-after") else {
        return 0;
    };
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return seconds.saturating_mul(SECOND);
    }
    let Some(then) = seconds_of(value) else {
        return 0;
    };
    let date = text("date").and_then(seconds_of).unwrap_or(now / SECOND);
    then.saturating_sub(date).saturating_mul(SECOND)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A date as seconds since the Unix epoch.
fn seconds_of(date: &str) -> Option<u64> {
    let (_weekday, rest) = date.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let mut part = || parts.next();
    let day = number(part()?, 1..=31)?;
    let name = part()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = number(part()?, 1970..=9999)?;
    let mut time = part()?.split(':');
    let mut clock = |max| number(time.next()?, 0..=max);
    // A leap second is the 60th.
    let (hour, minute, second) = (clock(23)?, clock(59)?, clock(60)?);
    if part()? != "GMT" || part().is_some() || time.next().is_some() {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    range.contains(&number).then_some(number)
}

/// Days from 1970-01-01 on, in the Gregorian calendar. Years begin in March here, so that a leap
/// day is the last of its year; the days before a month follow a line of 153 days in five months.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    // What this is on 1970-01-01.
    days - 719_469
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> u64 {
        let bytes = |text: &'static str| text.as_bytes().into();
        let entries = headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        retry_after(&HeaderMap::new(entries.collect()), 784_111_700 * SECOND)
    }

    #[test]
    fn seconds() {
        assert_eq!(asked(&[("retry-after", "120")]), 120 * SECOND);
        assert_eq!(asked(&[("retry-after", "0")]), 0);
        assert_eq!(asked(&[("retry-after", "99999999999999")]), u64::MAX);
    }

    #[test]
    fn dates() {
        let later = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(seconds_of(later), Some(784_111_777));
        assert_eq!(asked(&[("retry-after", later)]), 77 * SECOND);
        let date = ("date", "Sun, 06 Nov 1994 08:49:00 GMT");
        assert_eq!(asked(&[("retry-after", later), date]), 37 * SECOND);
        assert_eq!(
            asked(&[("retry-after", "Sat, 05 Nov 1994 08:49:37 GMT"), date]),
            0
        );
    }

    #[test]
    fn the_calendar() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:60 GMT", 253_402_300_800),
        ] {
            assert_eq!(seconds_of(date), Some(seconds), "{date}");
        }
    }

    #[test]
    fn what_cannot_be_read_asks_for_nothing() {
        for value in [
            "",
            "soon",
            "-1",
            "1.5",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
        ] {
            assert_eq!(asked(&[("retry-after", value)]), 0, "{value:?}");
        }
        assert_eq!(asked(&[]), 0);
    }
}
