//! All five plugins on one listener, in the order of the demo, each with work for every request, as five modules and as
//! one: the cost of using everything. circuit-breaker judges the upstream, so this needs one: `--upstream`.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use portcullis_scenarios::tokens::Algorithm;
use serde_json::{Value, json};

use super::{Filter, Variant, circuit_breaker, jwt_auth, rate_limit, retry_budget};

/// Both are measured together.
const ID: &str = "chain";
/// Tokens are cached, because clients send each many times.
const TOKENS: u32 = 1_000;

pub(super) fn variants() -> Vec<Variant> {
    let limit = json!({
        "name": "all",
        "key": ["remote_address"],
        "rate": {"requests": rate_limit::PLENTY, "per": "365d"},
    });
    let breaker = json!({"name": "all", "key": ["cluster"], "failure_rate": 50});
    let budget = json!({"name": "all", "key": ["cluster"], "ratio": 1000});
    let plugins = vec![
        (
            "security_headers",
            json!({"cross_site": {"mode": "enforce"}}),
        ),
        (
            "jwt_auth",
            jwt_auth::configuration(Algorithm::RS256, TOKENS),
        ),
        (
            "rate_limit",
            json!({"limits": [limit], "response_headers": ["ratelimit"]}),
        ),
        ("circuit_breaker", json!({"breakers": [breaker]})),
        ("retry_budget", json!({"budgets": [budget]})),
    ];
    let token = jwt_auth::token(Algorithm::RS256);
    let members = plugins.iter().cloned();
    let members = members.map(|(member, config)| (member.to_owned(), config));
    let one_module = Filter::plugin("portcullis", Value::Object(members.collect()));
    let variant = |name, filter| {
        let token = token.clone();
        Variant::new(ID, name, filter, all_work)
            .with_credentials(move |_| jwt_auth::bearer(&token))
            .with_upstream()
    };
    vec![
        variant("all five plugins, five modules", Filter::Plugins(plugins)),
        variant("all five plugins, one module", one_module),
    ]
}

fn all_work(envoy: &Envoy, response: &Response) -> bool {
    response.header("x-frame-options").is_some()
        && jwt_auth::by_envoy(envoy, response)
        && rate_limit::counts(envoy, response)
        && circuit_breaker::knows_a_key(envoy)
        && retry_budget::grants(envoy, response)
}
