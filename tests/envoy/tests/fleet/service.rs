//! The service that stands in for envoyproxy/ratelimit, under Envoy's own filter: it must be a service as Envoy knows it.

use std::time::{Duration, Instant};

use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::fleet::{Fleet, SERVICE, within_a_window};
use portcullis_envoy_tests::message::{Request, Response};
use portcullis_ratelimit_service::Fault;
use serde_json::{Value, json};

use super::{MINUTE, with_key};

const LIMITS: &str = "
domain: edge
descriptors:
  - key: api_key
    rate_limit: {unit: minute, requests_per_unit: 100}
";
/// The filter's timeout in tests of faults. A call that takes longer is an error, and the request passes.
const SHORT: Duration = Duration::from_millis(500);
/// In other tests, no call takes that long, even on a busy machine.
const LONG: Duration = Duration::from_secs(5);

/// Envoys with Envoy's own filter. A request costs `hits`.
fn fleet(envoys: usize, hits: Value) -> Option<Fleet> {
    fleet_with_timeout(envoys, hits, LONG)
}

fn fleet_with_timeout(envoys: usize, hits: Value, timeout: Duration) -> Option<Fleet> {
    let filter = json!({
        "name": "envoy.filters.http.ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "domain": "edge",
            "timeout": format!("{}s", timeout.as_secs_f32()),
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "rate_limit_service": {
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": SERVICE}},
            },
        },
    });
    let limited = json!({
        "actions": [{"request_headers": {"header_name": "x-api-key", "descriptor_key": "api_key"}}],
        "hits_addend": hits,
    });
    let per_route = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        "rate_limits": [limited],
    });
    let route = json!({
        "match": {"prefix": "/"},
        "route": {"cluster": UPSTREAM},
        "typed_per_filter_config": {"envoy.filters.http.ratelimit": per_route},
    });
    let builder = |_| -> Builder { Envoy::builder().native(filter.clone()).route(route.clone()) };
    Fleet::start(envoys, LIMITS, builder)
}

fn send(fleet: &Fleet, envoy: usize, request: &Request) -> Response {
    fleet.envoys()[envoy].client().send(request)
}

/// The status, and the hits that are left.
fn left(response: &Response) -> (u16, Option<&str>) {
    (response.status, response.header("x-ratelimit-remaining"))
}

#[test]
fn envoys_share_a_limit() {
    let Some(fleet) = fleet(2, json!(null)) else {
        return;
    };

    let (statuses, [last, other]) = within_a_window(MINUTE, || {
        fleet.redis().flush();
        let statuses = fleet.send(75, |_| with_key("a"));
        let last = send(&fleet, 0, &with_key("a"));
        (statuses, [last, send(&fleet, 1, &with_key("b"))])
    });

    let statuses = statuses.concat();
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    let denied = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((admitted, denied), (100, 50));
    assert_eq!(left(&last), (429, Some("0")));
    assert_eq!(left(&other), (200, Some("99")));
    assert_eq!(other.header("x-ratelimit-limit"), Some("100, 100;w=60"));
    let reset = other.header("x-ratelimit-reset").unwrap_or_default();
    assert!((1..=60).contains(&reset.parse().unwrap_or(0)), "{reset}");
}

#[test]
fn a_request_costs_the_hits_of_its_descriptor() {
    let Some(fleet) = fleet(1, json!({"number": 40})) else {
        return;
    };

    let responses = within_a_window(MINUTE, || {
        fleet.redis().flush();
        [0; 4].map(|envoy| send(&fleet, envoy, &with_key("a")))
    });

    // The third one is denied, but counts.
    assert_eq!(
        responses.each_ref().map(left),
        [
            (200, Some("60")),
            (200, Some("20")),
            (429, Some("0")),
            (429, Some("0"))
        ]
    );
    let key = fleet.redis().command("KEYS edge_api_key_a_*");
    assert_eq!(key, "*1", "one window");
}

#[test]
fn requests_without_a_limit_make_no_counter() {
    let Some(fleet) = fleet(1, json!(null)) else {
        return;
    };

    assert_eq!(left(&send(&fleet, 0, &Request::get("/"))), (200, None));

    assert_eq!(fleet.redis().command("DBSIZE"), ":0");
}

#[test]
fn a_flushed_redis_begins_the_window_again() {
    let Some(fleet) = fleet(1, json!({"number": 60})) else {
        return;
    };

    let statuses = within_a_window(MINUTE, || {
        fleet.redis().flush();
        let before = [0; 2].map(|envoy| send(&fleet, envoy, &with_key("a")).status);
        fleet.redis().flush();
        (before, send(&fleet, 0, &with_key("a")).status)
    });

    assert_eq!(statuses, ([200, 429], 200));
}

/// Envoy's filter lets a request pass if the service fails, and counts an error.
#[test]
fn faults_are_errors_for_envoy() {
    let Some(fleet) = fleet_with_timeout(1, json!(null), SHORT) else {
        return;
    };
    let service = fleet.service();
    let errors = || {
        let stats = fleet.envoys()[0].stats();
        stats.get("cluster.upstream.ratelimit.error").unwrap_or(0)
    };
    let mut expected = 0;
    let mut passes_in_spite_of_an_error = |what: &str| {
        let started = Instant::now();
        let response = send(&fleet, 0, &with_key("a"));
        expected += 1;
        assert_eq!(
            (left(&response), errors()),
            ((200, None), expected),
            "{what}"
        );
        started.elapsed()
    };

    service.fail(Fault::Unavailable);
    passes_in_spite_of_an_error("unavailable");
    service.fail(Fault::Garbage);
    passes_in_spite_of_an_error("garbage");
    service.fail(Fault::Silence);
    assert!(passes_in_spite_of_an_error("silence") >= SHORT);
    service.fail(Fault::Delay(4 * SHORT));
    assert!(passes_in_spite_of_an_error("delay") >= SHORT);
    service.fail(Fault::None);
    service.kill();
    passes_in_spite_of_an_error("killed");

    // It is there again, and remembers the call whose answer was late.
    service.start_again();
    let response = send(&fleet, 0, &with_key("a"));
    assert_eq!(response.status, 200);
    assert_eq!(errors(), expected);
    let rest = response.header("x-ratelimit-remaining");
    assert!(matches!(rest, Some("98" | "99")), "{rest:?}");
}

#[test]
fn a_late_answer_within_the_timeout_counts() {
    let Some(fleet) = fleet(1, json!(null)) else {
        return;
    };
    let delay = LONG / 25;
    fleet.service().fail(Fault::Delay(delay));

    let started = Instant::now();
    let response = send(&fleet, 0, &with_key("a"));

    assert!(started.elapsed() >= delay);
    assert_eq!(left(&response), (200, Some("99")));
    assert_eq!(fleet.service().calls(), 1);
}
