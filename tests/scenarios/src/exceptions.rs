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

const EXCEPTIONS: [Exception; 3] = [
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

/// The plugins that refuse every configuration there, with the beginning of what they log.
const REFUSING: [(&str, &str); 2] = [
    (
        "circuit_breaker",
        "portcullis circuit-breaker: configuration refused:",
    ),
    (
        "retry_budget",
        "portcullis retry-budget: configuration refused:",
    ),
];

/// The log of the first of the filters that refuses its configuration there, whatever it is; `None` if all work. Before
/// 1.39, Envoy does not tell a library the flags, the details and the attempts of a response.
pub(crate) fn refusal(filters: &[Filter], place: Place) -> Option<&'static str> {
    if place.host == Host::Wasm || place.envoy >= (1, 39) {
        return None;
    }
    let mut modules = filters.iter().filter_map(|filter| match filter {
        Filter::Plugin { module, .. } | Filter::CrashablePlugin { module, .. } => Some(*module),
        _ => None,
    });
    modules.find_map(|module| {
        let refusing = REFUSING.iter().find(|(name, _)| *name == module);
        refusing.map(|(_, log)| *log)
    })
}
