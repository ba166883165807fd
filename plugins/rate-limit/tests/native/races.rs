//! Workers on threads that race.

use std::sync::atomic::{AtomicUsize, Ordering};

use proxy_wasm_native_host::{Host, Request};
use serde_json::{Value, json};

use super::{admitted, builder, config, counter, with_key};

const WORKERS: usize = 8;

fn host(limits: Value) -> Host {
    builder(&config(limits)).workers(WORKERS).start().unwrap()
}

/// All workers at once send these requests, each worker one after the other. Returns the number that pass.
fn race(host: &Host, requests: &[Request]) -> usize {
    let passed = AtomicUsize::new(0);
    host.race(|worker| {
        for request in requests {
            if worker.send(request.clone()).status() == 200 {
                passed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    passed.into_inner()
}

#[test]
fn exactly_the_limit_passes() {
    for algorithm in ["gcra", "sliding_window", "fixed_window"] {
        let host = host(json!([{
            "name": "per-client", "key": ["remote_address"], "algorithm": algorithm,
            "rate": {"requests": 1000, "per": "24h"},
        }]));
        let requests = vec![Request::get("/"); 250];

        assert_eq!(race(&host, &requests), 1000, "{algorithm}");
        assert_eq!(counter(&host, "per-client", "admitted"), 1000);
        assert_eq!(
            counter(&host, "per-client", "reason=.=rate_limited;.;denied"),
            1000
        );
        assert_eq!(counter(&host, "per-client", "gave_up"), 0);
    }
}

#[test]
fn the_first_request_of_a_key_is_not_counted_twice() {
    let host = host(json!([{
        "name": "once", "key": [{"header": "x-api-key"}],
        "rate": {"requests": 1, "per": "1h"},
    }]));
    let keys: Vec<Request> = (0..1000).map(|n| with_key(&format!("key-{n}"))).collect();

    assert_eq!(race(&host, &keys), 1000);
}

/// A request that the narrow limit denies must consume nothing of the wide one, which reserves it first.
#[test]
fn denied_requests_consume_nothing_of_other_limits() {
    let host = host(json!([
        {"name": "wide", "rate": {"requests": 1000, "per": "24h"}},
        {"name": "narrow", "match": {"path": {"exact": "/narrow"}},
            "rate": {"requests": 100, "per": "24h"}},
    ]));
    let requests: Vec<Request> = (0..200)
        .map(|n| Request::get(if n % 2 == 0 { "/narrow" } else { "/" }))
        .collect();

    // Of 800 requests to /narrow 100 pass, and of 800 to / all pass. The wide limit always has more capacity left
    // than there are workers, so that no worker is denied because of the reservations of the others.
    assert_eq!(race(&host, &requests), 100 + 800);
    assert_eq!(counter(&host, "narrow", "admitted"), 100);
    assert_eq!(admitted(&host, &Request::get("/"), 200), 100);
}

/// At the edge of the wide limit, the reservation of a request that will be rolled back can cause another request to
/// be denied, but never to be admitted.
#[test]
fn reservations_never_admit_too_much() {
    let host = host(json!([
        {"name": "wide", "rate": {"requests": 300, "per": "24h"}},
        {"name": "narrow", "match": {"path": {"exact": "/narrow"}},
            "rate": {"requests": 100, "per": "24h"}},
    ]));
    let requests: Vec<Request> = (0..200)
        .map(|n| Request::get(if n % 2 == 0 { "/narrow" } else { "/" }))
        .collect();

    let in_the_race = race(&host, &requests);
    assert!(in_the_race <= 300, "{in_the_race}");
    assert_eq!(in_the_race + admitted(&host, &Request::get("/"), 300), 300);
}
