//! Workers that really run in parallel.

use std::sync::atomic::{AtomicUsize, Ordering};

use proxy_wasm_native_host::{Host, Request};

use super::{builder, counter, name, upstream};

const WORKERS: usize = 8;
const REQUESTS: usize = 500;

/// All workers send [`REQUESTS`] requests in parallel, of which every `nth` fails. Returns how many requests the
/// upstream got.
fn race(host: &Host, nth: usize) -> usize {
    let attempts = AtomicUsize::new(0);
    host.race(|worker| {
        for number in 1..=REQUESTS {
            let path = if number % nth == 0 { "/fails" } else { "/" };
            let outcome = worker.send(Request::get(path));
            attempts.fetch_add(outcome.upstream_requests().len(), Ordering::Relaxed);
        }
    });
    attempts.into_inner()
}

fn host() -> Host {
    let builder = builder("deny").workers(WORKERS).upstream(upstream);
    builder.start().unwrap()
}

#[test]
fn a_total_failure_costs_a_fifth_more() {
    let host = host();
    let requests = WORKERS * REQUESTS;
    let retries = race(&host, 1) - requests;
    assert_eq!(counter(&host, "retries_used") as usize, retries);
    assert_eq!(counter(&host, "gave_up"), 0);
    // The retries that the last requests paid for are left for the next ones.
    let left = host.gauge(&name("balance")) as usize;
    assert_eq!(retries + left, requests / 5);
    assert!(left <= WORKERS, "{left}");
}

#[test]
fn a_partial_failure_costs_what_fails() {
    let host = host();
    // One request in twenty fails with all three retries: each worker always has enough retries, once the first
    // requests have paid.
    let requests = (WORKERS * REQUESTS) as u64;
    race(&host, 20);
    let used = counter(&host, "retries_used");
    assert!(used >= requests * 3 / 20 * 9 / 10, "{used}");
    // One more request, and the ledger shows exactly what is left.
    host.send(Request::get("/"));
    assert_eq!(host.gauge(&name("balance")), (requests + 1) / 5 - used);
}
