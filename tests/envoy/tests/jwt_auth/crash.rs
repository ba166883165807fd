//! A VM crashes while requests wait for keys.

use std::time::Duration;

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_envoy_tests::{artifacts, bootstrap, crashable};
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::json;

use super::key_server::{KEYS, KeyServer, configuration};
use super::{ISSUER, bearer, now};

/// Envoy does not call a crashed VM, and its replacement does not know these requests, so `stream_idle_timeout` ends them.
#[test]
fn a_request_that_waited_in_a_vm_that_died_is_answered_before_its_keys_come() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let server = KeyServer::start();
    let late = Reply::new(200).body(issuer.jwks().to_string());
    server.answer(KEYS, late.delay(Duration::from_secs(30)));
    let mut configuration = configuration(&json!({"timeout": "20s"}));
    configuration["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "all", "require": {"provider": "corp"}},
    ]);
    let directory = tempfile::TempDir::new().unwrap();
    let module = crashable::copy(&artifacts::module("jwt_auth"), directory.path());
    let plugin = WasmFilter::module("jwt-auth", module).configuration(&configuration.to_string());
    let envoy = Envoy::builder()
        .concurrency(1)
        .plugin(&plugin)
        .cluster(bootstrap::cluster("idp", server.address()))
        .connection_manager(json!({"stream_idle_timeout": "8s"}))
        .start();

    let waiting = envoy.client().start(bearer(issuer.token(now()).sign()));
    envoy.wait_for_stat_to_be(
        "portcullis.jwt_auth.policy=.=edge;.;waiting",
        "1",
        |waiting| waiting == 1,
    );
    let deadly = Request::get("/public/").trailer("x-end", "1");
    let _ = envoy.http2_client().try_send(&deadly);

    let response = waiting.response();
    assert!(matches!(response.status, 408 | 503), "{response:?}");
}
