//! The deadlines that a client sets in the headers of its request.

use super::response::number;
use portcullis_core::headers::HeaderMap;
use portcullis_core::time::Nanos;

/// The deadlines in the headers of a request. [`Nanos::MAX`] is no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientDeadlines {
    /// The shortest timeout of the router, counted from the end of the request.
    pub(super) timeout: Nanos,
    /// `grpc-timeout`, counted from the start of the request.
    pub(super) grpc_timeout: Nanos,
}

/// Headers in which internal clients choose timeouts of the router, in milliseconds. Envoy removes them from the
/// requests of other clients.
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
        let shortest = timeouts.filter(|millis| *millis > 0).min();
        let grpc_timeout = headers.value("grpc-timeout");
        Self {
            timeout: shortest.map_or(Nanos::MAX, Nanos::from_millis),
            grpc_timeout: grpc_timeout
                .and_then(parse_grpc_timeout)
                .unwrap_or(Nanos::MAX),
        }
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit ("gRPC over HTTP2", Requests).
pub(super) fn parse_grpc_timeout(value: &[u8]) -> Option<Nanos> {
    let (unit, digits) = value.split_last()?;
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    let unit = match unit {
        b'H' => Nanos::from_secs(3_600),
        b'M' => Nanos::from_secs(60),
        b'S' => Nanos::SECOND,
        b'm' => Nanos::MILLISECOND,
        b'u' => Nanos::MICROSECOND,
        b'n' => Nanos::new(1),
        _ => return None,
    };
    Some(unit * number.parse::<u64>().ok()?)
}

/// Whether a deadline has passed, given the time since its start.
///
/// Clocks are read at different moments, and Envoy's timers are coarse: the deadline may be later by an eighth of the
/// time and a few milliseconds.
pub(super) fn has_passed(deadline: Nanos, elapsed: Nanos) -> bool {
    const TOLERANCE: Nanos = Nanos::from_millis(5);
    deadline <= elapsed + elapsed / 8 + TOLERANCE
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn grpc_timeouts_have_a_unit() {
        for (text, expected) in [
            ("1n", Some(Nanos::new(1))),
            ("20m", Some(Nanos::from_millis(20))),
            ("99999999S", Some(Nanos::from_secs(99_999_999))),
            ("99999999H", Some(Nanos::MAX)),
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
    fn a_deadline_may_be_slightly_later_than_the_elapsed_time() {
        let millis = Nanos::from_millis;
        for (deadline, elapsed, expected) in [
            (Nanos::new(100), Nanos::new(100), true),
            (millis(100), millis(90), true),
            (millis(100), millis(50), false),
            (Nanos::MAX, Nanos::new(1 << 60), false),
        ] {
            assert_eq!(has_passed(deadline, elapsed), expected, "{deadline:?}");
        }
    }
}
