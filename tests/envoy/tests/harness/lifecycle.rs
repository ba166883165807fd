//! Setup and cleanup of an Envoy.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::json;

#[test]
fn listeners_clusters_and_native_filters_can_be_added() {
    let other = Upstream::start(|_| Reply::new(203));
    let redirect = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "second",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "redirect": {"https_redirect": true}}],
        }]},
        "http_filters": [{
            "name": "router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
    });
    let envoy = Envoy::builder()
        .native(json!({
            "name": "mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"response_mutations": [
                    {"append": {"header": {"key": "x-native", "value": "yes"}}},
                ]},
            },
        }))
        .cluster(bootstrap::cluster("other", other.address()))
        .route(json!({"match": {"prefix": "/other"}, "route": {"cluster": "other"}}))
        .listener(bootstrap::listener("second", &redirect))
        .start();

    let response = envoy.client().send(&Request::get("/other"));
    let second = Client::http1(envoy.address("second"));

    assert_eq!(
        (response.status, response.header("x-native")),
        (203, Some("yes"))
    );
    assert_eq!(other.requests().len(), 1);
    assert_eq!(second.send(&Request::get("/")).status, 301);
}

#[test]
fn a_configuration_that_envoy_refuses_is_an_error_with_its_words() {
    let unknown = json!({"name": "x", "typed_config": {"@type": "type.googleapis.com/not.Known"}});

    let refused = Envoy::builder().native(unknown).try_start();

    let error = refused.err().expect("Envoy does not start").to_string();
    assert!(error.contains("not.Known"), "{error}");
}

#[test]
fn the_number_of_workers_can_be_set() {
    let envoy = Envoy::builder().concurrency(1).start();

    assert_eq!(envoy.counter("server.concurrency"), 1);
}

#[test]
fn dropping_an_envoy_ends_its_process() {
    let envoy = Envoy::builder().start();
    let process = envoy.process_id();
    assert!(is_running(process));

    drop(envoy);

    assert!(!is_running(process));
}

/// An Envoy that is never dropped, as in files whose tests share one.
static SHARED: LazyLock<Envoy> = LazyLock::new(|| Envoy::builder().start());

#[test]
fn a_shared_envoy_ends_with_the_test_process() {
    const THIS: &str = "lifecycle::a_shared_envoy_ends_with_the_test_process";
    const IN_CHILD: &str = "PORTCULLIS_SHARED_ENVOY_TEST";
    if env::var_os(IN_CHILD).is_some() {
        println!("envoy {}", SHARED.process_id());
        std::process::exit(0);
    }

    let child = Command::new(env::current_exe().expect("this test program"))
        .args(["--exact", THIS, "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .expect("this test program runs");

    let output = String::from_utf8_lossy(&child.stdout);
    let process = output.lines().find_map(|line| line.split_once("envoy "));
    let (_, process) = process.expect("the process id");
    let process = process.parse().expect("a number");
    for _ in 0..1000 {
        if !is_running(process) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("Envoy {process} still runs");
}

/// Whether this process exists. A zombie has ended too.
fn is_running(process: u32) -> bool {
    let status = Path::new("/proc").join(process.to_string()).join("status");
    let status = std::fs::read_to_string(status).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}
