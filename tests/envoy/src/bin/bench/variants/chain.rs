//! All five plugins on one listener, in the order of the demo, each with work for every request, as five modules and as
//! one: the cost of using everything. Beside them, five of Envoy's own filters do comparable work. circuit-breaker judges the
//! upstream, so this needs one: `--upstream`.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use portcullis_scenarios::tokens::Algorithm;
use serde_json::{Value, json};

use super::{
    Filter, Partner, Variant, circuit_breaker, jwt_auth, native, rate_limit, retry_budget,
    security_headers,
};

/// Measured together with those that it is compared with.
const ID: &str = "chain";
const MODULES: &str = "chain_modules";
const NATIVE: &str = "chain_native";
/// Under valgrind, Envoy cannot create the VM of a fifth module, so instructions are the sum of two Envoys'.
const FOUR: &str = "chain_four";
const FIFTH: &str = "chain_fifth";
const PARTNERS: &[Partner] = &[
    Partner::at_most(1.2, &[NATIVE]),
    Partner::of(&[MODULES]),
    Partner::of(&[FOUR, FIFTH]),
];
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
    let variant = |id, name, filter, works| {
        let token = token.clone();
        Variant::new(id, name, filter, works)
            .with_credentials(move |_| jwt_auth::bearer(&token))
            .beyond(jwt_auth::reference(Algorithm::RS256))
            .with_upstream()
    };
    let native = Filter::Native(native_filters());
    let (four, fifth) = plugins.split_at(4);
    let [four, fifth, five] = [four, fifth, &plugins].map(|some| Filter::Plugins(some.to_vec()));
    vec![
        variant(NATIVE, "five native filters", native, native_work),
        Variant {
            instructions: Some(false),
            ..variant(MODULES, "all five plugins, five modules", five, all_work)
        },
        Variant {
            instructions: Some(true),
            ..variant(FOUR, "the first four, four modules", four, four_work)
        },
        Variant {
            instructions: Some(true),
            ..variant(
                FIFTH,
                "the fifth, retry-budget",
                fifth,
                retry_budget::grants,
            )
        },
        variant(ID, "all five plugins, one module", one_module, all_work).compared_with(PARTNERS),
    ]
}

fn native_filters() -> Vec<Value> {
    vec![
        security_headers::header_mutation(),
        native::csrf(),
        jwt_auth::jwt_authn(Algorithm::RS256, true),
        rate_limit::local_ratelimit(rate_limit::WITH_HEADERS),
        native::admission_control(),
    ]
}

fn native_work(envoy: &Envoy, response: &Response) -> bool {
    response.header("x-frame-options").is_some()
        && response.header("x-ratelimit-remaining").is_some()
        && envoy.counter("http.ingress.jwt_authn.allowed") == 1
        && native::admits(envoy, response)
}

fn all_work(envoy: &Envoy, response: &Response) -> bool {
    four_work(envoy, response) && retry_budget::grants(envoy, response)
}

fn four_work(envoy: &Envoy, response: &Response) -> bool {
    response.header("x-frame-options").is_some()
        && jwt_auth::by_envoy(envoy, response)
        && rate_limit::counts(envoy, response)
        && circuit_breaker::knows_a_key(envoy)
}
