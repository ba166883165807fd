//! How an Envoy is set up, and that nothing is left of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
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
fn dropping_an_envoy_leaves_neither_process_nor_port() {
    let envoy = Envoy::builder().start();
    let (process, client) = (envoy.process_id(), envoy.client());
    assert!(is_running(process));

    drop(envoy);

    assert!(!is_running(process));
    assert!(client.try_send(&Request::get("/")).is_err());
}

/// An Envoy that outlives every test, as files have it that share one.
static SHARED: LazyLock<Envoy> = LazyLock::new(|| Envoy::builder().start());

#[test]
#[ignore = "not a test: the part of the next one that runs in a process of its own"]
fn starts_the_shared_envoy_and_ends_without_dropping_it() {
    println!("envoy {}", SHARED.process_id());
    std::process::abort();
}

#[test]
fn an_envoy_ends_with_its_test_process_however_that_ends() {
    let output = Command::new(std::env::current_exe().expect("this test program"))
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("lifecycle::starts_the_shared_envoy_and_ends_without_dropping_it")
        .stderr(Stdio::null())
        .output()
        .expect("this test program runs");

    let output = String::from_utf8_lossy(&output.stdout);
    let process = output
        .lines()
        .find_map(|line| Some(line.split_once("envoy ")?.1));
    let process = process.expect("the process id").parse().expect("a number");
    for _ in 0..1000 {
        if !is_running(process) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("Envoy {process} still runs");
}

/// Whether there is such a process. A zombie that nobody has waited for yet has ended, too.
fn is_running(process: u32) -> bool {
    let status = Path::new("/proc").join(process.to_string()).join("status");
    let status = std::fs::read_to_string(status).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}
