//! Limits that a rate-limit service counts for several proxies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::protobuf::Message;
use serde_json::{Value, json};

use super::service_messages::{find, framed, key_of};
use super::{counter, scenario};
use crate::{Answer, Cluster, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::a_fleet_shares_a_limit_by_leases",
            config(json!({})),
            a_fleet_shares_a_limit_by_leases,
        ),
        scenario(
            "rate_limit::each_request_asks_the_service",
            config(json!({"mode": "each"})),
            each_request_asks_the_service,
        ),
        scenario(
            "rate_limit::requests_of_a_new_key_wait_together",
            config(json!({"on_outage": "deny"})),
            requests_of_a_new_key_wait_together,
        ),
        scenario(
            "rate_limit::all_workers_share_a_lease",
            config(json!({})),
            all_workers_share_a_lease,
        ),
        scenario(
            "rate_limit::a_slow_service_does_not_hold_requests",
            config(json!({"on_outage": "deny"})),
            a_slow_service_does_not_hold_requests,
        ),
        scenario(
            "rate_limit::without_the_service_each_proxy_counts",
            config(json!({"on_outage": "local"})),
            without_the_service_each_proxy_counts,
        ),
        scenario(
            "rate_limit::without_the_service_requests_pass_if_allowed",
            config(json!({"mode": "each", "on_outage": "allow"})),
            without_the_service_requests_pass_if_allowed,
        ),
        scenario(
            "rate_limit::garbage_is_no_answer",
            config(json!({"on_outage": "deny"})),
            garbage_is_no_answer,
        ),
        scenario(
            "rate_limit::a_client_that_goes_while_it_waits_uses_nothing",
            config(json!({"mode": "lease", "on_outage": "deny"})),
            a_client_that_goes_while_it_waits_uses_nothing,
        ),
        scenario(
            "rate_limit::a_fleet_in_shadow_mode_lets_pass",
            {
                let mut config = config(json!({}));
                config["mode"] = json!("shadow");
                config
            },
            a_fleet_in_shadow_mode_lets_pass,
        ),
    ]
}

pub(super) const LIMIT: u32 = 20;

/// A limit of 20 requests in a day, by API key.
pub(super) fn config(fleet: Value) -> Value {
    let mut config = json!({
        "name": "edge",
        "services": {"main": {"cluster": Cluster::Idp.name(), "domain": "shop", "timeout": "500ms"}},
        "limits": [{
            "name": "keys", "key": [{"header": "x-api-key"}],
            "rate": {"requests": LIMIT, "per": "24h"}, "algorithm": "fixed_window",
            "fleet": {"service": "main", "descriptor": ["api_key"]},
        }],
        "response_headers": ["ratelimit"],
    });
    for (name, value) in fleet.as_object().into_iter().flatten() {
        config["limits"][0]["fleet"][name] = value.clone();
    }
    config
}

pub(super) fn with_key(key: &str) -> Request {
    Request::get("/").header("x-api-key", key)
}

/// The counts of a service, by value of `api_key`. Other proxies could add to them.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<HashMap<String, u32>>>);

impl Service {
    /// Lets the service answer from now on.
    fn serve(&self, world: &mut dyn World) {
        self.serve_after(world, Duration::ZERO);
    }

    fn serve_after(&self, world: &mut dyn World, delay: Duration) {
        let service = self.clone();
        let answer = move |request: &Request| Answer::from(service.answer(request)).after(delay);
        world.serve(Cluster::Idp, Upstream::script(answer));
    }

    fn count(&self, key: &str) -> u32 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(key).copied().unwrap_or_default()
    }

    /// As envoyproxy/ratelimit: adds, then compares.
    fn answer(&self, request: &Request) -> Response {
        assert_eq!(
            request.path,
            "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
        );
        assert_eq!(
            request.get_header("content-type").as_deref(),
            Some("application/grpc")
        );
        let message = request.body.get(5..).unwrap_or_default();
        assert_eq!(find(message, 1).text().expect("a domain"), "shop");
        let key = key_of(message);
        let hits = find(message, 3).number32().expect("hits");
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        *count += hits;
        let is_over = *count > LIMIT;
        let code = 1 + u64::from(is_over);
        let mut limit = Message::default();
        // A day.
        limit.number(1, LIMIT.into()).number(2, 4);
        let mut reset = Message::default();
        reset.number(1, 3_600);
        let mut status = Message::default();
        status
            .number(1, code)
            .message(2, &limit)
            .number(3, LIMIT.saturating_sub(*count).into())
            .message(4, &reset);
        let mut header = Message::default();
        header.text(1, "x-counted-by").text(2, "the fleet");
        let mut answer = Message::default();
        answer
            .number(1, code)
            .message(2, &status)
            .message(3, &header);
        if is_over {
            answer.text(5, "too many for the fleet\n");
        }
        framed(&answer.into_bytes())
    }
}

pub(super) fn passed(world: &mut dyn World, requests: u32, key: &str) -> u32 {
    let statuses = (0..requests).map(|_| world.send(with_key(key)).status);
    let statuses: Vec<u16> = statuses.collect();
    statuses.iter().map(|status| u32::from(*status == 200)).sum()
}

pub(super) fn calls(world: &mut dyn World) -> usize {
    world.received_by(Cluster::Idp).len()
}

pub(super) fn by_result(world: &mut dyn World, result: &str, metric: &str) -> u64 {
    let labels = [("limit", "keys"), ("result", result)];
    world.counter(&crate::counter("rate_limit", "edge", &labels, metric))
}

pub(super) fn calls_with(world: &mut dyn World, result: &str) -> u64 {
    by_result(world, result, "fleet_calls")
}

fn outages(world: &mut dyn World, what: &str) -> u64 {
    by_result(world, what, "fleet_outage")
}

/// The gauges of the mode and of `on_outage`.
fn settings(world: &mut dyn World) -> (u64, u64) {
    let labels = [("limit", "keys")];
    let mut gauge = |metric| world.gauge(&crate::counter("rate_limit", "edge", &labels, metric));
    (gauge("fleet_mode"), gauge("fleet_on_outage"))
}

pub(super) fn is_out(world: &mut dyn World) -> bool {
    // The gauge is set once a second.
    world.pass(Duration::from_millis(1_100));
    let labels = [("service", "main")];
    world.gauge(&crate::counter("rate_limit", "edge", &labels, "service_out")) == 1
}

fn a_fleet_shares_a_limit_by_leases(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    let first = world.send(with_key("a"));
    assert_eq!(first.status, 200);
    assert_eq!(first.get_header("x-counted-by").as_deref(), Some("the fleet"));
    let shown = first.get_header("ratelimit").unwrap_or_default();
    assert!(shown.starts_with("\"keys\";r=19;t="), "{shown}");

    assert_eq!(passed(world, 30, "a"), LIMIT - 1);
    let made = calls(world);
    assert!(made < 25, "{made} calls");
    assert!(service.count("a") >= LIMIT);
    let denied = world.send(with_key("a"));
    assert_eq!(denied.status, 429);
    let wait: u64 = denied
        .get_header("retry-after")
        .and_then(|wait| wait.parse().ok())
        .unwrap_or_default();
    assert!((3_590..=3_602).contains(&wait), "{wait}");
    // It knows, and does not ask again.
    assert_eq!(calls(world), 0);
    let cached = counter(world, "keys", "fleet_cached_denials");
    assert!((1..=12).contains(&cached), "{cached}");
    let ended = by_result(world, "used_up", "fleet_leases") + by_result(world, "renewed", "fleet_leases");
    assert!((1..=u64::from(LIMIT)).contains(&ended), "{ended}");
    assert_eq!(settings(world), (1, 0));

    assert_eq!(passed(world, 5, "b"), 5);
    assert_eq!(counter(world, "keys", "admitted"), u64::from(LIMIT) + 5);
    assert!(counter(world, "keys", "fleet_taken") >= u64::from(LIMIT) + 5);
    assert!(counter(world, "keys", "fleet_waited") >= 2);
    assert!(calls_with(world, "ok") > 0 && calls_with(world, "over_limit") > 0);
    assert_eq!(world.warnings(), [""; 0]);
}

fn each_request_asks_the_service(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    assert_eq!(passed(world, LIMIT + 5, "a"), LIMIT);
    assert_eq!(calls(world), LIMIT as usize + 5);
    let denied = world.send(with_key("a"));
    assert_eq!(denied.status, 429);
    assert_eq!(denied.body, b"too many for the fleet\n");
    assert_eq!(denied.get_header("x-counted-by").as_deref(), Some("the fleet"));
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("3600"));
    assert_eq!(calls_with(world, "ok"), u64::from(LIMIT));
    assert_eq!(calls_with(world, "over_limit"), 6);
    assert_eq!(counter(world, "keys", "fleet_cached_denials"), 0);
    assert_eq!(settings(world), (0, 0));
}

/// Requests that arrive together before anything is known: one call at a time, and all of them pass.
fn requests_of_a_new_key_wait_together(world: &mut dyn World) {
    let service = Service::default();
    service.serve_after(world, Duration::from_millis(2));
    let requests = (0..10).map(|_| with_key("a")).collect();
    let responses = world.send_together(requests);
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200; 10]);
    assert!(service.count("a") >= 10);
}

fn all_workers_share_a_lease(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    let requests = (0..60).map(|_| with_key("a")).collect();
    let responses = world.send_together(requests);
    let passed = responses.iter().filter(|response| response.status == 200);
    let passed = u32::try_from(passed.count()).unwrap_or(u32::MAX);
    // What leases lost stays unused.
    assert!((LIMIT / 2..=LIMIT).contains(&passed), "{passed}");
}

fn a_slow_service_does_not_hold_requests(world: &mut dyn World) {
    let service = Service::default();
    service.serve_after(world, Duration::from_secs(20));
    for _ in 0..4 {
        let denied = world.send(with_key("a"));
        assert_eq!(denied.status, 503);
    }
    // From the third failure on, no request waits.
    let made = calls(world);
    assert!((3..=4).contains(&made), "{made}");
    assert_eq!(calls_with(world, "timeout"), made as u64);
    assert_eq!(outages(world, "deny"), 4);
    assert!(is_out(world));
    service.serve(world);
    world.pass(Duration::from_secs(12));
    assert_eq!(world.send(with_key("a")).status, 200);
    assert!(!is_out(world));
    assert_outage_is_logged(world);
}

fn without_the_service_each_proxy_counts(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    assert_eq!(passed(world, 8, "a"), 8);
    world.serve(Cluster::Idp, Upstream::Unreachable);
    // The service has counted eight, and leases.
    let local = passed(world, 40, "a");
    assert!((LIMIT / 2 - 1..=LIMIT - 8).contains(&local), "{local}");
    assert_eq!(passed(world, 40, "b"), LIMIT);
    assert!(outages(world, "local") > 0);
    assert!(is_out(world));
    service.serve(world);
    world.pass(Duration::from_secs(12));
    // The service learns what was admitted meanwhile.
    assert_eq!(passed(world, 5, "b"), 0);
    assert!(service.count("b") >= LIMIT);
    assert!(!is_out(world));
    assert_outage_is_logged(world);
}

fn without_the_service_requests_pass_if_allowed(world: &mut dyn World) {
    world.serve(Cluster::Idp, Upstream::Unreachable);
    assert_eq!(passed(world, 40, "a"), 40);
    assert_eq!(outages(world, "allow"), 40);
    assert_eq!(counter(world, "keys", "errors"), 0);
    // A worker may know of the third failure some milliseconds late.
    let failed = calls_with(world, "error");
    assert!((3..=5).contains(&failed), "{failed}");
    assert_outage_is_logged(world);
}

/// Once, although all workers notice.
fn assert_outage_is_logged(world: &mut dyn World) {
    let warnings = world.warnings();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.contains("service main is out"), "{warning}");
}

fn garbage_is_no_answer(world: &mut dyn World) {
    let overlong = framed(&vec![0x0a; 70_000]);
    let answers = [
        framed(b"\xff\xff\xff"),
        framed(b""),
        Response::grpc(13),
        Response::new(200),
        Response::new(500),
        overlong,
    ];
    for answer in answers {
        world.serve(Cluster::Idp, Upstream::Answers(answer));
        assert_eq!(world.send(with_key("a")).status, 503);
        // The next probe.
        world.pass(Duration::from_secs(12));
    }
    let service = Service::default();
    service.serve(world);
    assert_eq!(world.send(with_key("a")).status, 200);
    assert_eq!(calls_with(world, "error"), 6);
    assert_outage_is_logged(world);
}

fn a_client_that_goes_while_it_waits_uses_nothing(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    assert_eq!(passed(world, 1, "a"), 1);
    service.serve_after(world, Duration::from_millis(300));
    calls(world);
    let pending = world.begin(with_key("a"));
    world.arrivals(Cluster::Idp, 1);
    world.abandon(pending);
    world.pass(Duration::from_millis(400));
    let counted = service.count("a");
    assert_eq!(counter(world, "keys", "fleet_returned"), 1);
    // The tokens of the answer are there for others.
    assert_eq!(passed(world, counted - 1, "a"), counted - 1);
    assert_eq!(world.sum_of_counters("portcullis.rate_limit.policy=.=edge;.;limit=.=keys;.;errors"), 0);
}

fn a_fleet_in_shadow_mode_lets_pass(world: &mut dyn World) {
    let service = Service::default();
    service.serve_after(world, Duration::from_millis(50));
    assert_eq!(passed(world, 40, "a"), 40);
    assert_eq!(counter(world, "keys", "fleet_waited"), 0);
}
