//! `Retry-After` of a response (RFC 9110, section 10.2.3): how long a server asks to be left alone.
//!
//! The header holds a number of seconds or an HTTP date, in any of the three formats that a recipient must accept
//! (section 5.6.7). A date is compared with the response's own `Date`, so that the two clocks need not agree;
//! without a readable `Date`, with the time now.

use std::time::SystemTime;

use crate::headers::HeaderMap;
use crate::time::{Nanos, UnixSeconds};

/// The longest wait that a server can ask for: a day.
pub const LONGEST: Nanos = Nanos::from_secs(24 * 60 * 60);

/// The wait that a response asks for, at most [`LONGEST`]; zero for a date in the past. `None` if it has no
/// `Retry-After`, or one that is neither a number nor a date.
pub fn retry_after(headers: &HeaderMap, now: UnixSeconds) -> Option<Nanos> {
    let value = text(headers, "retry-after")?;
    let wait = match seconds(value) {
        Some(wait) => wait,
        None => {
            let until = date(value)?;
            let sent = text(headers, "date").and_then(date).unwrap_or(now);
            Nanos::from_secs(until.since(sent))
        }
    };
    Some(wait.min(LONGEST))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(headers.value(name)?).ok()?;
    Some(value.trim_matches([' ', '\t']))
}

/// Digits only: `parse` alone would accept a sign.
fn seconds(value: &str) -> Option<Nanos> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(value.parse().map_or(Nanos::MAX, Nanos::from_secs))
}

fn date(value: &str) -> Option<UnixSeconds> {
    let time = httpdate::parse_http_date(value).ok()?;
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(UnixSeconds::new(since_epoch.as_secs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// `Sun, 06 Nov 1994 08:48:20 GMT`.
    const NOW: UnixSeconds = UnixSeconds::new(784_111_700);

    fn wait(headers: &[(&str, &str)]) -> Option<Nanos> {
        let bytes = |text: &str| text.as_bytes().to_vec().into();
        let entries = headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        retry_after(&HeaderMap::new(entries.collect()), NOW)
    }

    fn wait_of(value: &str) -> Option<Nanos> {
        wait(&[("retry-after", value)])
    }

    #[test]
    fn seconds_are_taken_as_they_are_up_to_a_day() {
        assert_eq!(wait_of("120"), Some(Nanos::from_secs(120)));
        assert_eq!(wait_of(" 120\t"), Some(Nanos::from_secs(120)));
        assert_eq!(wait_of("0"), Some(Nanos::ZERO));
        assert_eq!(wait_of("86401"), Some(LONGEST));
        assert_eq!(wait_of("99999999999999999999999999"), Some(LONGEST));
    }

    #[test]
    fn all_three_formats_of_a_date_are_read() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(wait_of(date), Some(Nanos::from_secs(77)), "{date}");
        }
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(wait_of(far), Some(LONGEST));
    }

    #[test]
    fn a_date_is_compared_with_the_date_of_the_response() {
        let later = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = ("date", "Sun, 06 Nov 1994 08:49:00 GMT");
        assert_eq!(wait(&[later, date]), Some(Nanos::from_secs(37)));
        assert_eq!(
            wait(&[later, ("date", "today")]),
            Some(Nanos::from_secs(77))
        );
        let past = ("retry-after", "Sat, 05 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[past, date]), Some(Nanos::ZERO));
    }

    #[test]
    fn an_unreadable_value_is_none() {
        for value in [
            "",
            "soon",
            "-1",
            "+1",
            "1.5",
            "1 s",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
        ] {
            assert_eq!(wait_of(value), None, "{value:?}");
        }
        assert_eq!(wait(&[]), None);
    }

    proptest! {
        #[test]
        fn no_value_panics_or_waits_longer_than_a_day(
            value in prop_oneof![
                any::<String>(),
                "[A-Z][a-z]{2,8},? [0-9]{1,2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9:]{4,9} (GMT)?",
                "[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:é]{8} [0-9é]{4}",
            ],
        ) {
            prop_assert!(wait_of(&value).is_none_or(|wait| wait <= LONGEST));
        }
    }
}
