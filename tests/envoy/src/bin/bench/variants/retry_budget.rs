//! retry-budget, with a budget that is never empty: each request reserves a retry and returns it.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use serde_json::{Value, json};

use super::{Filter, Variant, native};

pub(super) fn variants() -> Vec<Variant> {
    let plugin = |id, name, key: Value| {
        let budget = json!({"name": "all", "key": key, "ratio": 1000});
        let configuration = json!({"budgets": [budget]});
        Variant::new(
            id,
            name,
            Filter::plugin("retry_budget", configuration),
            grants,
        )
    };
    vec![
        plugin("budget", "retry-budget, one for all", json!([])),
        plugin(
            "budget_cluster",
            "retry-budget by cluster",
            json!(["cluster"]),
        )
        .compared_with(native::ADMISSION_CONTROL),
    ]
}

pub(super) fn grants(envoy: &Envoy, _response: &Response) -> bool {
    let granted = "portcullis.retry_budget.policy=.=default;.;budget=.=all;.;retries_granted";
    envoy.counter(granted) == 1
}
