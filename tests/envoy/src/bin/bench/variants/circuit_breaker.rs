//! circuit-breaker, closed and open. It looks at what the upstream does, so these are measured with
//! one: `--upstream`.

use portcullis_envoy_tests::envoy::Envoy;
use serde_json::{Value, json};

use super::{Filter, Variant};

pub(super) fn variants() -> Vec<Variant> {
    let closed = |id, name, mut breaker: Value| {
        breaker["failure_rate"] = json!(50);
        Variant::new(id, name, plugin(breaker), |envoy, _| knows_a_key(envoy)).with_upstream()
    };
    // What is a success elsewhere opens this one. Its rejections look like successes to the load.
    let open = json!({
        "key": ["cluster"], "consecutive_failures": 1, "failures": {"statuses": ["2xx"]},
        "open": {"base": "24h", "jitter": 0}, "fallback": {"status": 200, "body": "hello"},
    });
    vec![
        closed(
            "breaker",
            "circuit-breaker by cluster, closed",
            json!({"key": ["cluster"]}),
        ),
        closed(
            "breaker_count",
            "the same, a window of 100 results",
            json!({"key": ["cluster"], "window": {"type": "count", "size": 100}}),
        ),
        closed(
            "breaker_bulkhead",
            "the same, with max_concurrent",
            json!({"key": ["cluster"], "max_concurrent": 1_000}),
        ),
        Variant::new(
            "breaker_open",
            "circuit-breaker by cluster, open",
            plugin(open),
            |envoy, _| knows_a_key(envoy),
        )
        .with_upstream(),
    ]
}

fn plugin(mut breaker: Value) -> Filter {
    breaker["name"] = json!("all");
    Filter::Plugin("circuit_breaker", json!({"breakers": [breaker]}))
}

/// The first request had a result.
fn knows_a_key(envoy: &Envoy) -> bool {
    let occupancy = "portcullis.circuit_breaker.policy=.=default;.;breaker=.=all;.;occupancy";
    envoy.counter(&format!("wasmcustom.{occupancy}")) == 1
}
