//! circuit-breaker, closed and open. It judges the upstream, so these need one: `--upstream`.

use portcullis_envoy_tests::envoy::Envoy;
use serde_json::json;

use super::{Filter, Variant, native};

pub(super) fn variants() -> Vec<Variant> {
    let variant = |id, name, breaker| {
        let configuration = json!({"breakers": [breaker]});
        let filter = Filter::plugin("circuit_breaker", configuration);
        Variant::new(id, name, filter, |envoy, _| knows_a_key(envoy)).with_upstream()
    };
    vec![
        variant(
            "breaker",
            "circuit-breaker by cluster, closed",
            json!({"name": "all", "key": ["cluster"], "failure_rate": 50}),
        )
        .compared_with(native::ADMISSION_CONTROL),
        variant(
            "breaker_count",
            "the same, a window of 100 results",
            json!({"name": "all", "key": ["cluster"], "failure_rate": 50,
                "window": {"type": "count", "size": 100}}),
        ),
        variant(
            "breaker_bulkhead",
            "the same, with max_concurrent",
            json!({"name": "all", "key": ["cluster"], "failure_rate": 50,
                "max_concurrent": 1_000}),
        ),
        // A success opens this one. The load counts its rejections as successes.
        variant(
            "breaker_open",
            "circuit-breaker by cluster, open",
            json!({"name": "all", "key": ["cluster"], "consecutive_failures": 1,
                "failures": {"statuses": ["2xx"]}, "open": {"base": "24h", "jitter": 0},
                "fallback": {"status": 200, "body": "hello"}}),
        ),
    ]
}

/// The first request had a result.
pub(super) fn knows_a_key(envoy: &Envoy) -> bool {
    let occupancy = "portcullis.circuit_breaker.policy=.=default;.;breaker=.=all;.;occupancy";
    envoy.counter(occupancy) == 1
}
