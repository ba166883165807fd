//! Tests that do not apply everywhere, each with the reason. All others run on every host and every version of Envoy.

use crate::Filter;
use crate::placement::Host;

/// Where the tests run.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What the plugins are to Envoy.
    pub host: Host,
    /// Envoy's version: 1.40 is `(1, 40)`. The native host has that of the Envoy that it was compared with.
    pub envoy: (u32, u32),
}

/// Tests that are ignored in some places.
struct Exception {
    /// The test's name, or the beginning of several names.
    tests: &'static str,
    applies: fn(Place) -> bool,
    reason: &'static str,
}

/// A test of what an answer to a call changes.
const fn counts_late(tests: &'static str) -> Exception {
    Exception {
        tests,
        applies: |place| place.host == Host::Library && place.envoy < (1, 39),
        reason: "before 1.39, what happens outside of requests is counted with the next request",
    }
}

const EXCEPTIONS: [Exception; 11] = [
    Exception {
        tests: "capabilities::",
        applies: |place| place.host == Host::Library,
        reason: "Envoy cannot restrict the host calls of a library",
    },
    Exception {
        tests: "contract::what_filters_know_outlives_a_crash",
        applies: |place| place.host == Host::Library,
        reason: "it is about a VM that dies with its pending requests; a panic in the library ends one request",
    },
    counts_late("jwt_auth::one_worker_fetches_for_all"),
    counts_late("rate_limit::a_client_that_goes_while_it_waits_uses_nothing"),
    counts_late("rate_limit::a_commit_that_fails_is_sent_again"),
    counts_late("rate_limit::a_service_that_cannot_hold_is_out"),
    counts_late("rate_limit::a_slow_service_does_not_hold_requests"),
    counts_late("rate_limit::without_the_service_"),
    counts_late("rate_limit::what_a_lease_does_not_use_returns_to_the_limit"),
    Exception {
        tests: "jwt_auth::the_gauges_of_removed_documents_are_0",
        applies: |place| place.host == Host::Library && place.envoy < (1, 39),
        reason: "before 1.39, a library can set a gauge only during a request, and a removed filter has none",
    },
    Exception {
        tests: "retry_budget::a_query_is_retried",
        applies: |place| place.envoy < (1, 40),
        reason: "Envoy refuses the method QUERY before 1.40",
    },
];

/// Why a test does not apply there; `None` if it does.
pub(crate) fn reason(test: &str, place: Place) -> Option<&'static str> {
    let exceptions = EXCEPTIONS.iter();
    let mut reasons = exceptions.filter(|it| test.starts_with(it.tests) && (it.applies)(place));
    reasons.next().map(|exception| exception.reason)
}

/// # Panics
/// If an exception names no test, so that a renamed test does not leave one behind.
pub(crate) fn assert_current<'a>(tests: impl Iterator<Item = &'a str> + Clone) {
    for Exception { tests: name, .. } in &EXCEPTIONS {
        let found = tests.clone().any(|test| test.starts_with(name));
        assert!(found, "no test is named {name}");
    }
}

/// Before Envoy 1.39, these plugins of the library refuse every configuration, because Envoy does not say why a stream
/// ended.
const REFUSING: [&str; 2] = ["circuit_breaker", "retry_budget"];
/// A part of what they log then.
const REFUSAL: &str = "this plugin needs Envoy 1.39 or later";

/// A part of the log if one of the filters refuses every configuration in that place; `None` if all work.
pub(crate) fn refusal(filters: &[Filter], place: Place) -> Option<&'static str> {
    if place.host == Host::Wasm || place.envoy >= (1, 39) {
        return None;
    }
    let is_refusing = |filter: &Filter| match filter {
        Filter::Plugin { module, .. } | Filter::CrashablePlugin { module, .. } => {
            REFUSING.contains(module)
        }
        _ => false,
    };
    filters.iter().any(is_refusing).then_some(REFUSAL)
}
