//! Wasm plugins in the harness, with a small module: it accepts only the configuration `{}`, counts requests, and traps on
//! a request with more than 20 header fields.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use portcullis_envoy_tests::envoy::{Envoy, RefusedListeners};
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::validate;
use serde_json::json;
use tempfile::TempDir;

const MODULE: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_define_metric"
        (func $define_metric (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment_metric (param i32 i64) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "requests")
    (data (i32.const 16) "configured")
    (data (i32.const 32) "$.a: first line\n$.b: second line")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "_initialize"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
        (if (i32.ne (local.get $size) (i32.const 2))
            (then
                (drop (call $log (i32.const 4) (i32.const 32) (i32.const 32)))
                (return (i32.const 0))))
        (drop (call $log (i32.const 2) (i32.const 16) (i32.const 10)))
        ;; The number of the counter goes to address 64.
        (drop (call $define_metric (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 64)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32) (param $fields i32) (param i32)
        (result i32)
        (if (i32.gt_u (local.get $fields) (i32.const 20)) (then unreachable))
        (drop (call $increment_metric (i32.load (i32.const 64)) (i64.const 1)))
        (i32.const 0)))"#;

static MODULE_FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny.wasm");
    std::fs::write(&file, wat::parse_str(MODULE).expect("a module")).expect("a file");
    file
});

fn tiny() -> WasmFilter {
    WasmFilter::module("tiny", &*MODULE_FILE)
}

#[test]
fn a_plugin_runs_and_its_counter_is_read() {
    let envoy = Envoy::builder().plugin(&tiny()).start();
    assert_eq!(envoy.counter("requests"), 0);

    envoy.client().send(&Request::get("/"));
    envoy.http2_client().send(&Request::get("/"));

    envoy.wait_for_stat("requests", 2);
    assert!(envoy.prometheus().contains("\nrequests{} 2\n"));
}

#[test]
fn plugins_speak_in_the_log_from_the_level_asked_for() {
    let said = |envoy: &Envoy| {
        let log = envoy.log();
        let said = log
            .iter()
            .filter(|record| record.plugin_message() == Some("configured"));
        said.count()
    };

    let usual = Envoy::builder().plugin(&tiny()).start();
    let quiet = Envoy::builder()
        .plugin(&tiny())
        .plugin_log_level("error")
        .start();

    assert!(said(&usual) > 0);
    assert_eq!(said(&quiet), 0);
}

#[test]
#[should_panic(expected = "proxy_on_request_headers failed: Uncaught RuntimeError: unreachable")]
fn a_vm_that_failed_is_noticed() {
    let envoy = Envoy::builder().plugin(&tiny()).start();
    assert_eq!(envoy.client().send(&Request::get("/")).status, 200);
    envoy.assert_no_vm_failed();

    let many = (0..20).fold(Request::get("/"), |request, _| request.header("x", "1"));
    assert_eq!(envoy.client().send(&many).status, 503);
    envoy.assert_no_vm_failed();
}

#[test]
fn a_configuration_that_the_plugin_refuses_keeps_envoy_from_starting() {
    let refused = Envoy::builder()
        .plugin(&tiny().configuration("wrong"))
        .try_start();

    let error = refused.err().expect("Envoy does not start").to_string();
    assert!(error.contains("$.b: second line"), "{error}");
}

#[test]
fn validation_says_what_the_plugin_says() {
    assert_eq!(validate::plugin(&tiny()), Ok(()));

    let refused = validate::plugin(&tiny().configuration("wrong"));

    assert_eq!(refused, Err("$.a: first line\n$.b: second line".to_owned()));
}

#[test]
fn the_configuration_may_be_any_message() {
    let structure =
        json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": 1}});
    let refused = validate::plugin(&tiny().configuration_any(structure));

    // The module accepts exactly two bytes, and the message has more.
    assert_eq!(refused, Err("$.a: first line\n$.b: second line".to_owned()));
}

#[test]
fn validation_says_what_envoy_says_where_the_plugin_is_silent() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("envoy.yaml");
    std::fs::write(&file, "static_resources: {nonsense: 1}").expect("a file");

    let error = validate::bootstrap_file(&file).expect_err("no such field");

    assert!(error.contains("nonsense"), "{error}");
}

#[test]
#[should_panic(expected = "dist/no_such_plugin.wasm does not exist: run `make build`")]
fn a_module_that_is_not_built_is_named() {
    let _ = Envoy::builder().plugin(&WasmFilter::plugin("no-such-plugin"));
}

#[test]
fn listeners_are_replaced_while_envoy_runs() {
    let envoy = Envoy::builder()
        .plugin(&tiny())
        .replaceable_listeners()
        .start();
    let status = || envoy.client().send(&Request::get("/")).status;
    let answering = |status: u16| {
        Envoy::builder().plugin(&tiny()).route(json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": status},
        }))
    };
    let mut old_connection = envoy.client().connect();
    assert_eq!(old_connection.send(&Request::get("/")).status, 200);

    assert_eq!(envoy.replace_listeners(&answering(203)), Ok(()));
    assert_eq!(status(), 203);
    assert_eq!(old_connection.send(&Request::get("/")).status, 200);

    let refused = answering(204).plugin(&tiny().configuration("nothing"));
    assert_eq!(envoy.replace_listeners(&refused), Err(RefusedListeners));
    assert_eq!(status(), 203);

    assert_eq!(envoy.replace_listeners(&answering(205)), Ok(()));
    assert_eq!(status(), 205);
    assert_eq!(envoy.counter("requests"), 5, "metrics stay");
}
