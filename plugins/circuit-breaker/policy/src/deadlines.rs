//! The deadlines that a client asks for in its request's headers.

use super::response::number;
use portcullis_core::headers::HeaderMap;

/// The deadlines that a request's headers ask for, in nanoseconds; the largest number is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientDeadlines {
    /// The shortest timeout for the router, from when the request is complete.
    pub(super) timeout: u64,
    /// `grpc-timeout`, from when the request came.
    pub(super) grpc_timeout: u64,
}

/// Headers by which internal clients choose timeouts of the router, in milliseconds. Envoy removes them from the
/// requests of others.
const TIMEOUTS: [&str; 3] = [
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-expected-rq-timeout-ms",
];

impl ClientDeadlines {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let timeouts = TIMEOUTS
            .iter()
            .filter_map(|name| number::<u64>(headers, name));
        // 0 is no timeout.
        let shortest = timeouts.filter(|milliseconds| *milliseconds > 0).min();
        let grpc_timeout = headers.get("grpc-timeout").map(|value| &value[..]);
        Self {
            timeout: shortest.map_or(u64::MAX, |shortest| shortest.saturating_mul(1_000_000)),
            grpc_timeout: grpc_timeout
                .and_then(parse_grpc_timeout)
                .unwrap_or(u64::MAX),
        }
    }
}

/// `grpc-timeout` in nanoseconds: up to eight digits and a unit ("gRPC over HTTP2", Requests).
pub(super) fn parse_grpc_timeout(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    let unit: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()?.saturating_mul(unit))
}

/// Whether a deadline has passed, given the nanoseconds since the start. Clocks are read at different moments, and Envoy's timers
/// are coarse: an eighth and some milliseconds are forgiven.
pub(super) fn has_passed(deadline: u64, elapsed: u64) -> bool {
    const COARSE: u64 = 5_000_000;
    deadline <= elapsed.saturating_add(elapsed / 8).saturating_add(COARSE)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn grpc_timeouts_have_a_unit() {
        for (text, expected) in [
            ("1n", Some(1)),
            ("20m", Some(20_000_000)),
            ("99999999S", Some(99_999_999_000_000_000)),
            ("99999999H", Some(u64::MAX)),
            ("1", None),
            ("m", None),
            ("", None),
            ("+1m", None),
            ("1 m", None),
            ("123456789m", None),
            ("1x", None),
        ] {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_little_less_than_a_deadline_has_passed_too() {
        for (deadline, elapsed, expected) in [
            (100, 100, true),
            (100_000_000, 90_000_000, true),
            (100_000_000, 50_000_000, false),
            (u64::MAX, 1 << 60, false),
        ] {
            assert_eq!(has_passed(deadline, elapsed), expected, "{deadline}");
        }
    }
}
