//! Warnings about settings without effect.

use proxy_wasm_native_host::{Filter, Host, LogLevel, Request};
use serde_json::{Value, json};

/// A host with these plugins, each with an instance called `edge`.
fn host(plugins: &[(&str, Value)]) -> Host {
    let filter = |(module, config): &(&str, Value)| {
        let mut config = config.clone();
        config["name"] = json!("edge");
        let init = match *module {
            "retry_budget" => portcullis_proxy_wasm::start::<retry_budget::RetryBudget>,
            _ => portcullis_proxy_wasm::start::<circuit_breaker::CircuitBreaker>,
        };
        let filter = Filter::from_fn(module, init).vm_id("portcullis");
        filter.config(config.to_string())
    };
    let builder = plugins.iter().map(filter);
    let builder = builder.fold(Host::builder().workers(2), |builder, it| builder.filter(it));
    builder.start().unwrap()
}

fn warnings(host: &Host) -> Vec<String> {
    let lines = host.logs().into_iter();
    let warnings = lines.filter(|line| line.level == LogLevel::Warn);
    warnings.map(|line| line.message).collect()
}

fn respecting(breaker: &str) -> (&'static str, Value) {
    let budget = json!({"name": "all", "respect_breaker": breaker});
    ("retry_budget", json!({"budgets": [budget]}))
}

fn breaker(name: &str) -> (&'static str, Value) {
    let breaker = json!({"name": name, "consecutive_failures": 2});
    ("circuit_breaker", json!({"breakers": [breaker]}))
}

#[test]
fn a_breaker_that_is_not_there_is_logged_once_by_each_worker() {
    let host = host(&[breaker("payments"), respecting("edge/typo")]);
    assert!(warnings(&host).is_empty());
    for _ in 0..5 {
        host.worker(0).send(Request::get("/"));
        host.worker(1).send(Request::get("/"));
    }
    let warnings = warnings(&host);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let said = "\"respect_breaker\" names edge/typo, but there is no such breaker";
    assert!(
        warnings.iter().all(|line| line.contains(said)),
        "{warnings:?}"
    );
}

#[test]
fn a_breaker_that_is_there_is_not_logged_wherever_it_stands() {
    let [breaker, budget] = [breaker("payments"), respecting("edge/payments")];
    for plugins in [[breaker.clone(), budget.clone()], [budget, breaker]] {
        let host = host(&plugins);
        host.send(Request::get("/"));
        assert_eq!(warnings(&host), [""; 0]);
    }
}

#[test]
fn grpc_conditions_that_hold_for_no_grpc_request_are_logged() {
    for is_dead in [true, false] {
        let budget = json!({
            "name": "grpc", "retry_on": "5xx,unavailable", "idempotent_only": is_dead,
        });
        let host = host(&[("retry_budget", json!({"budgets": [budget]}))]);
        let warnings = warnings(&host);
        assert_eq!(warnings.is_empty(), !is_dead, "{warnings:?}");
        let said = "budget grpc: the gRPC conditions in \"retry_on\" have no effect";
        assert!(
            warnings.iter().all(|line| line.contains(said)),
            "{warnings:?}"
        );
    }
}
