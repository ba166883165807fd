//! What one plugin of the module tells another does not go through Envoy.

use proxy_wasm_native_host::{Filter, Host, Request, Response};
use serde_json::json;

/// The snapshot of the breaker in shared data.
const SNAPSHOT: &str = "portcullis/circuit_breaker/edge/watch/board";
const DENIED: &str =
    "portcullis.retry_budget.policy=.=edge;.;budget=.=all;.;reason=.=breaker_open;.;inbound_denied";

#[test]
fn a_budget_knows_the_circuit_that_the_breaker_before_it_has_seen() {
    let config = json!({
        "circuit_breaker": {
            "name": "edge", "mode": "shadow",
            "breakers": [{
                "name": "watch", "key": ["cluster"], "consecutive_failures": 1, "open": {"base": "1h"},
            }],
        },
        "retry_budget": {
            "name": "edge",
            "budgets": [{
                "name": "all", "key": ["cluster"], "inbound_retries": "deny", "respect_breaker": "edge/watch",
            }],
        },
    });
    let module = portcullis_proxy_wasm::start::<portcullis::Portcullis>;
    let filter = Filter::from_fn("portcullis", module)
        .vm_id("portcullis")
        .config(config.to_string());
    let host = Host::builder()
        .upstream(|_: &Request| Response::new(503))
        .filter(filter)
        .start()
        .unwrap();
    let retry = || Request::get("/").header("x-envoy-attempt-count", "2");

    host.send(retry());
    assert_eq!(host.counter(DENIED), 0);
    // The circuit is open now, and nobody could learn it from the snapshot.
    host.shared_data().write("portcullis", SNAPSHOT, b"");
    host.send(retry());
    assert_eq!(host.counter(DENIED), 1);
}
