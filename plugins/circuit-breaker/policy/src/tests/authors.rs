//! The authors of endings.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const HIGH: &str = "via_upstream";

/// The result of a request that ends in this way after two seconds.
fn recorded(
    breaker: Value,
    ending: Ending,
    arrival: Arrival,
    headers: &[(&str, &str)],
) -> Recorded {
    let mut world = World::new(one_breaker(breaker));
    let admission = world.arrive(headers, arrival);
    world.advance(Nanos::from_secs(2));
    world.end(admission, ending).remove(0)
}

const COMPLETE: Arrival = Arrival {
    is_complete: true,
    has_headers: false,
};
const UPLOAD: Arrival = Arrival {
    is_complete: false,
    has_headers: false,
};

fn judged(ending: Ending, arrival: Arrival) -> (Verdict, Author) {
    let breaker = json!({"consecutive_failures": 1});
    let recorded = recorded(breaker, ending, arrival, &[]);
    (recorded.verdict, recorded.author)
}

/// A local reply, or a response that ended in this way.
fn ended(status: &str, details: &'static str, flags: u64) -> Ending {
    Ending {
        details,
        flags,
        ..super::status(status)
    }
}

const CLIENTS: (Verdict, Author) = (Verdict::Neutral, Author::Client);
const FAILURE: (Verdict, Author) = (Verdict::Failure, Author::Upstream);
const SUCCESS: (Verdict, Author) = (Verdict::Success, Author::Upstream);
const OVERDUE: (Verdict, Author) = (Verdict::Abandoned, Author::Client);

#[test]
fn a_redirect_that_envoy_follows_is_the_upstreams_success() {
    let redirected = Ending {
        headers: None,
        ..ended("302", "internal_redirect", 0)
    };
    assert_eq!(judged(redirected, COMPLETE), SUCCESS);
}

#[test]
fn uploads_that_stall_are_the_clients() {
    for (status, details, flags) in [
        ("408", "stream_idle_timeout", 0x1_0000),
        ("408", "request_overall_timeout", 0),
        ("400", "http1.codec_error", 0x4_0000),
        ("413", "request_payload_too_large", 0),
        ("507", "request_payload_exceeded_retry_buffer_limit", 0),
        (
            "503",
            "upstream_reset_before_response_started{connection_termination}",
            0x40,
        ),
        (
            "503",
            "upstream_reset_before_response_started{remote_reset}",
            0x10,
        ),
    ] {
        assert_eq!(
            judged(ended(status, details, flags), UPLOAD),
            CLIENTS,
            "{details}"
        );
    }
    let silent = ended("504", "stream_idle_timeout", 0x1_0000);
    assert_eq!(judged(silent, COMPLETE), FAILURE);
    let refused = "upstream_reset_before_response_started{remote_connection_failure|refused}";
    assert_eq!(judged(ended("503", refused, 0x20), UPLOAD), FAILURE);
}

#[test]
fn deadlines_that_clients_choose_are_theirs() {
    for (status, details, flags) in [
        ("504", "max_duration_timeout", 0),
        ("408", "max_duration_timeout", 0),
        ("504", "upstream_max_stream_duration_reached", 0x8_0000),
    ] {
        assert_eq!(
            judged(ended(status, details, flags), COMPLETE),
            OVERDUE,
            "{details}"
        );
    }
    let late = ended("504", "response_timeout", 0x4);
    assert_eq!(judged(late.clone(), COMPLETE), FAILURE);
    let asking = |grpc_timeout| Ending {
        grpc_timeout,
        ..late.clone()
    };
    assert_eq!(judged(asking("1S"), COMPLETE), OVERDUE);
    assert_eq!(judged(asking("1M"), COMPLETE), FAILURE);
}

#[test]
fn an_internal_client_chooses_timeouts_in_its_headers() {
    let breaker = || json!({"consecutive_failures": 1});
    let late = ended("504", "upstream_per_try_timeout", 0x4);
    let internal = Ending {
        is_internal: true,
        ..late.clone()
    };
    let unread = recorded(breaker(), internal.clone(), COMPLETE, &[]);
    assert_eq!(
        (unread.verdict, unread.lacks_headers),
        (Verdict::Abandoned, true)
    );
    let read = Arrival {
        has_headers: true,
        ..COMPLETE
    };
    for (headers, expected) in [
        (&[][..], Verdict::Failure),
        (
            &[("x-envoy-upstream-rq-timeout-ms", "1900")],
            Verdict::Abandoned,
        ),
        (
            &[("x-envoy-upstream-rq-timeout-ms", "15000")],
            Verdict::Failure,
        ),
        (&[("x-envoy-upstream-rq-timeout-ms", "0")], Verdict::Failure),
        (
            &[("x-envoy-upstream-rq-per-try-timeout-ms", "10")],
            Verdict::Abandoned,
        ),
        (
            &[("x-envoy-expected-rq-timeout-ms", "10")],
            Verdict::Abandoned,
        ),
        (&[("grpc-timeout", "10m")], Verdict::Abandoned),
    ] {
        let recorded = recorded(breaker(), internal.clone(), read, headers);
        assert_eq!(recorded.verdict, expected, "{headers:?}");
        assert!(!recorded.lacks_headers);
    }
}

#[test]
fn a_grpc_deadline_that_the_upstream_heeds_is_the_clients() {
    let exceeded = |grpc_timeout| Ending {
        grpc_timeout,
        ..answer(&[
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "4"),
        ])
    };
    assert_eq!(judged(exceeded("1S"), COMPLETE), OVERDUE);
    assert_eq!(judged(exceeded("9S"), COMPLETE), FAILURE);
    assert_eq!(judged(exceeded(""), COMPLETE), FAILURE);
}

#[test]
fn a_response_that_began_well_goes_by_its_headers() {
    for (details, flags) in [
        ("response_timeout", 0x4),
        ("stream_idle_timeout", 0x1_0000),
        ("max_duration_timeout", 0),
        ("upstream_max_stream_duration_reached", 0x8_0000),
        ("downstream_remote_disconnect", 0x4000),
        ("http2.remote_reset", 0x1000_0000),
        ("downstream_local_disconnect(on_idle_timeout)", 0),
    ] {
        assert_eq!(
            judged(ended("200", details, flags), COMPLETE),
            SUCCESS,
            "{details}"
        );
    }
    let broken = "upstream_reset_after_response_started{connection_termination}";
    assert_eq!(judged(ended("200", broken, 0x40), COMPLETE), FAILURE);
    // A tunnel that either side closed.
    assert_eq!(judged(ended("101", broken, 0x40), UPLOAD), SUCCESS);
}

#[test]
fn envoy_and_filters_are_the_authors_of_their_replies() {
    for (status, details, flags, author) in [
        ("200", "direct_response", 0, Author::Envoy),
        ("404", "route_not_found", 0x100, Author::Envoy),
        (
            "503",
            "upstream_reset_before_response_started{overflow}",
            0x80,
            Author::Envoy,
        ),
        (
            "503",
            "upstream_reset_before_response_started{local_reset}",
            0x8,
            Author::Envoy,
        ),
        (
            "503",
            "upstream_reset_before_response_started{something_new}",
            0,
            Author::Envoy,
        ),
        ("500", "response_payload_too_large", 0, Author::Envoy),
        (
            "503",
            "dns_resolution_failure{nxdomain}",
            0x400_0000,
            Author::Client,
        ),
        (
            "403",
            "rbac_access_denied_matched_policy[none]",
            0,
            Author::Unknown("rbac"),
        ),
        ("503", "fault_filter_abort", 0x400, Author::Unknown("fault")),
        (
            "403",
            "jwt_authn_access_denied{Jwt_is_missing}",
            0,
            Author::Unknown("jwt"),
        ),
        (
            "500",
            "something_that_nobody_knows",
            0,
            Author::Unknown("other"),
        ),
        ("500", "", 0, Author::Unknown("other")),
        ("500", "\u{fffd}{", 0, Author::Unknown("other")),
    ] {
        let expected = (Verdict::Neutral, author);
        let ending = Ending {
            attempts: Some(u32::from(details != "direct_response")),
            ..ended(status, details, flags)
        };
        assert_eq!(judged(ending, COMPLETE), expected, "{details}");
    }
}

#[test]
fn every_label_is_known_beforehand() {
    let labels: Vec<_> = Author::labels().collect();
    let different: std::collections::BTreeSet<_> = labels.iter().collect();
    assert_eq!(different.len(), labels.len());
    for details in ["rbac_x", "", "zzz", "ext_authz_error"] {
        let (_, author) = judged(ended("503", details, 0), COMPLETE);
        assert!(labels.contains(&author.label()), "{details}");
    }
}

#[test]
fn ignored_statuses_are_neutral() {
    let breaker = json!({"consecutive_failures": 3,
        "failures": {"ignored": [404, "3xx", "UNAVAILABLE"]}});
    let mut world = World::new(one_breaker(breaker));
    for ending in [failure(), failure(), status("404"), status("302")] {
        assert!(world.call(ending));
    }
    let unavailable = answer(&[
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "14"),
    ]);
    assert!(world.call(unavailable));
    assert!(world.call(failure()));
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
}

#[test]
fn statuses_that_refuse_a_kind_of_request_are_no_failures_by_default() {
    for refusing in ["501", "505", "510"] {
        assert_eq!(judged(status(refusing), COMPLETE), SUCCESS);
        let breaker = json!({"consecutive_failures": 1, "failures": {"statuses": ["5xx"]}});
        let named = recorded(breaker, status(refusing), COMPLETE, &[]);
        assert_eq!(
            named.verdict,
            Verdict::Failure,
            "where 5xx is named, it is all of them"
        );
    }
}

#[test]
fn grpc_statuses_have_names() {
    let breaker = |grpc: Value| json!({"consecutive_failures": 1, "failures": {"grpc": grpc}});
    let with = |code: &str| {
        answer(&[
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", code),
        ])
    };
    for grpc in [json!(["UNAVAILABLE"]), json!([14])] {
        let verdict = |code| recorded(breaker(grpc.clone()), with(code), COMPLETE, &[]).verdict;
        assert_eq!(verdict("14"), Verdict::Failure);
        assert_eq!(verdict("13"), Verdict::Success);
    }
}

#[test]
fn time_counts_from_when_the_request_is_complete() {
    let slow = json!({"slow": {"threshold": "1s", "rate": 50}});
    let after = |arrival: Arrival, upload: Nanos, wait: Nanos, flags: u64| {
        let mut world = World::new(one_breaker(slow.clone()));
        let mut admission = world.arrive(&[], arrival);
        world.advance(upload);
        world.complete(&mut admission);
        world.advance(wait);
        world.end(admission, ended("200", HIGH, flags))[0].is_slow
    };
    assert!(after(COMPLETE, Nanos::SECOND, Nanos::SECOND, 0));
    assert!(!after(UPLOAD, Nanos::from_secs(5), Nanos::SECOND, 0));
    assert!(after(UPLOAD, Nanos::ZERO, Nanos::SECOND + Nanos::new(1), 0));
    assert!(
        !after(COMPLETE, Nanos::SECOND, Nanos::SECOND, 0x200),
        "a delay that was injected"
    );
    let never = recorded(slow.clone(), ended("200", HIGH, 0), UPLOAD, &[]);
    assert!(!never.is_slow, "answered before the request was complete");
    let left = recorded(slow, abandoned(), UPLOAD, &[]);
    assert!(!left.is_slow);
}
