//! A ledger that cannot be written or read.

use proxy_wasm_native_host::{Host, Request};

use super::{builder, counter, name, upstream};

/// A host with two retries in the budget, where another writer always writes the ledger just before the plugin does.
fn contended(on_error: &str) -> Host {
    let host = paid(on_error);
    host.shared_data().before_each_write(|data, attempt| {
        let value = data.read(&attempt.vm_id, &attempt.key).unwrap_or_default();
        data.write(&attempt.vm_id, &attempt.key, &value);
    });
    host
}

/// A host with two retries in the budget.
fn paid(on_error: &str) -> Host {
    let host = builder(on_error).upstream(upstream).start().unwrap();
    for _ in 0..10 {
        host.send(Request::get("/"));
    }
    assert_eq!(host.gauge(&name("balance")), 2);
    host
}

fn retry() -> Request {
    Request::get("/").header("x-envoy-attempt-count", "2")
}

#[test]
fn without_a_ledger_requests_have_their_retries_by_default() {
    let host = contended("allow");
    let outcome = host.send(Request::get("/fails"));
    assert_eq!(outcome.upstream_requests().len(), 4);
    assert_eq!(host.send(retry()).status(), 200);
    assert_eq!(counter(&host, "errors"), 2);
    assert_eq!(counter(&host, "deposits"), 10);
    assert_eq!(counter(&host, "retries_used"), 3);
}

#[test]
fn without_a_ledger_there_are_no_retries_if_that_is_wanted() {
    let host = contended("deny");
    let outcome = host.send(Request::get("/fails"));
    assert_eq!(outcome.status(), 503);
    assert_eq!(outcome.upstream_requests().len(), 1);
    assert_eq!(counter(&host, "reason=.=unavailable;.;denied"), 1);
    let denied = host.send(retry());
    assert_eq!(denied.status(), 503);
    assert_eq!(
        denied.code_details().as_deref(),
        Some("retry_budget_unavailable{all}")
    );
    assert_eq!(counter(&host, "reason=.=unavailable;.;inbound_denied"), 1);
}

#[test]
fn a_ledger_that_cannot_be_read_starts_empty() {
    let host = paid("deny");
    let data = host.shared_data();
    let blocks = data.keys("portcullis");
    let blocks = blocks.iter().filter(|key| key.ends_with("\0\0\0\0"));
    for block in blocks {
        data.write("portcullis", block, b"\x7fno block of any version");
    }
    host.send(Request::get("/"));
    assert_eq!(counter(&host, "malformed"), 1);
    assert_eq!(host.gauge(&name("balance")), 0);
}
