//! Workers that really run in parallel.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use proxy_wasm_native_host::{Answer, ClientStream, Host, Request, Response};
use serde_json::{Value, json};

use super::{OPEN, builder, config, counter, fails, gauges, ok, reason, status};

const WORKERS: usize = 8;

fn host(breaker: Value) -> Host {
    builder(&config(breaker)).workers(WORKERS).start().unwrap()
}

#[test]
fn as_many_probes_reach_the_upstream_as_there_are_permits() {
    let probes = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&probes);
    let config = config(json!({"consecutive_failures": 1, "half_open": {"permits": 5}}));
    let host = builder(&config)
        .workers(WORKERS)
        .upstream(move |request| match request.path() {
            "/fails" => Answer::from(Response::new(503)),
            _ => {
                seen.fetch_add(1, Ordering::Relaxed);
                Answer::never()
            }
        })
        .start()
        .unwrap();
    let all_have_sent = Barrier::new(WORKERS);
    for _ in 0..20 {
        host.send(fails());
        host.advance(OPEN);
        host.race(|worker| {
            let under_way: Vec<_> = (0..8).map(|_| worker.open(ok())).collect();
            all_have_sent.wait();
            under_way.iter().for_each(ClientStream::disconnect);
        });
        assert_eq!(probes.swap(0, Ordering::Relaxed), 5);
        // Their clients have left, so that the next one is a probe again; it opens the circuit.
        assert_eq!(reason(&host, fails()), "");
        host.advance(OPEN);
    }
    assert_eq!(counter(&host, "leases_expired"), 0);
    assert_eq!(counter(&host, "gave_up"), 0);
}

#[test]
fn every_result_counts_once() {
    let host = host(json!({
        "failure_rate": 50, "minimum_requests": 1000, "window": {"type": "time", "size": "1h"}
    }));
    host.race(|worker| {
        for number in 0..124 {
            worker.send(if number % 2 == 0 { ok() } else { fails() });
        }
    });
    for _ in 0..7 {
        host.send(fails());
    }
    assert_eq!(gauges(&host), (0, 0), "999 results");
    host.send(fails());
    assert_eq!(gauges(&host), (2, 1));
    let trip = &status(&host)["keys"][0]["last_trip"];
    assert_eq!(
        (&trip["reason"], &trip["failure_rate"]),
        (&json!("rate"), &json!(50))
    );
    assert_eq!(counter(&host, "failures"), 504);
}

#[test]
fn never_more_are_under_way_than_may_be() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let config = config(json!({"max_concurrent": 3}));
    let host = builder(&config)
        .workers(WORKERS)
        .upstream(move |_| {
            let under_way = counted.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(under_way, Ordering::SeqCst);
            std::thread::yield_now();
            counted.fetch_sub(1, Ordering::SeqCst);
            Response::new(200)
        })
        .start()
        .unwrap();
    host.race(|worker| {
        for _ in 0..200 {
            worker.send(ok());
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert!(counter(&host, "reason=.=bulkhead;.;rejected") > 0);
    assert_eq!(status(&host)["keys"][0]["under_way"], 0);
}

/// Circuits of many keys open and close on all workers. The gauges then agree with the table.
#[test]
fn gauges_are_exact_after_a_storm() {
    let host = host(json!({
        "key": [{"header": "x-tenant"}], "consecutive_failures": 1, "half_open": {"permits": 1}
    }));
    for round in 0..10 {
        host.race(|worker| {
            for number in 0..60 {
                let tenant = ((number * 7 + worker.index()) % 40).to_string();
                let path = match (number + worker.index() + round) % 5 {
                    0 => "/fails",
                    _ => "/",
                };
                worker.send(Request::get(path).header("x-tenant", &tenant));
            }
        });
        let view = status(&host);
        let in_phase = |phase: &str| {
            let keys = view["keys"].as_array().unwrap().iter();
            keys.filter(|key| key["state"] == phase).count() as u64
        };
        let open = in_phase("open");
        let worst = match (open, in_phase("half_open")) {
            (0, 0) => 0,
            (0, _) => 1,
            _ => 2,
        };
        assert_eq!(gauges(&host), (worst, open));
        assert_eq!(view["open_keys"], open);
        if round % 2 == 1 {
            host.advance(OPEN);
        }
    }
    let opened = |cause: &str| counter(&host, &format!("reason=.={cause};.;opened"));
    assert!(opened("consecutive") > 40 && opened("probe") > 0 && counter(&host, "closed") > 10);
}
