//! Clients cannot open circuits alone.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// The endings that a client can cause alone: their details, flags and statuses, while the upstream answers everything
/// in time.
fn clients_doing() -> impl Strategy<Value = (Ending, Arrival)> {
    const RESET: &str = "upstream_reset_before_response_started{connection_termination}";
    const WITHIN: &str = "upstream_reset_after_response_started{connection_termination}";
    // Each with whether the request can be complete.
    let doings = vec![
        ("downstream_remote_disconnect", 0x4000_u64, None, true),
        ("http2.remote_reset", 0x1000_0000, None, true),
        ("downstream_remote_disconnect", 0x4000, Some("200"), true),
        ("http1.codec_error", 0x4_0000, Some("400"), false),
        ("http2.violation.of.messaging.rule", 0x4_0000, None, false),
        ("stream_idle_timeout", 0x1_0000, Some("408"), false),
        ("stream_idle_timeout", 0x1_0000, Some("200"), true),
        ("request_overall_timeout", 0, Some("408"), false),
        ("max_duration_timeout", 0, Some("408"), false),
        ("max_duration_timeout", 0, Some("504"), true),
        ("max_duration_timeout", 0, Some("200"), true),
        (
            "upstream_max_stream_duration_reached",
            0x8_0000,
            Some("504"),
            true,
        ),
        (
            "upstream_max_stream_duration_reached",
            0x8_0000,
            Some("200"),
            true,
        ),
        ("response_timeout", 0x4, Some("200"), true),
        ("request_payload_too_large", 0, Some("413"), false),
        (
            "request_payload_exceeded_retry_buffer_limit",
            0,
            Some("507"),
            false,
        ),
        ("upgrade_failed", 0, Some("403"), true),
        (RESET, 0x40, Some("503"), false),
        (WITHIN, 0x40, Some("101"), false),
        (WITHIN, 0x40, Some("200"), false),
        ("via_upstream", 0, Some("501"), true),
        ("via_upstream", 0, Some("505"), true),
        ("via_upstream", 0, Some("404"), true),
        ("via_upstream", 0x200, Some("200"), true),
        ("route_not_found", 0x100, Some("404"), true),
        ("rbac_access_denied", 0, Some("403"), true),
        ("fault_filter_abort", 0x400, Some("503"), true),
        ("anything at all", 0, Some("503"), true),
    ];
    (prop::sample::select(doings), any::<bool>()).prop_map(
        |((details, flags, status, may_be_complete), is_complete)| {
            let headers = status.map(|status| header_map(&[(":status", status)]));
            let ending = Ending {
                headers,
                details,
                flags,
                ..success()
            };
            let arrival = Arrival {
                is_complete: is_complete && may_be_complete,
                has_headers: false,
            };
            (ending, arrival)
        },
    )
}

proptest! {
    /// All triggers are as sensitive as possible.
    #[test]
    fn no_client_alone_opens_a_circuit(
        doings in prop::collection::vec((clients_doing(), 0..500_u64), 1..40),
    ) {
        let mut world = World::new(one_breaker(json!({"consecutive_failures": 1, "failure_rate": 1,
            "minimum_requests": 1, "slow": {"threshold": "600ms", "rate": 1}})));
        for ((ending, arrival), milliseconds) in doings {
            let admission = world.arrive(&[], arrival);
            prop_assert!(!admission.is_rejected());
            world.advance(Nanos::from_millis(milliseconds));
            world.end(admission, ending);
            prop_assert_eq!(world.transitions(), []);
        }
    }
}
