//! Remote keys: rotation, and servers that fail.

use std::time::Duration;

use serde_json::{Value, json};

use super::signer::{ISSUER, LATE, jwks, token, token_of};
use super::{decisions, one_provider, plugin, scenario, set, status, with_token};
use crate::{Answer, Cluster, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let with_timeout = |timeout: &str| {
        one_provider(json!({"jwks": {"remote": {
            "cluster": "idp",
            "uri": "https://idp.example/keys?v=1",
            "timeout": timeout,
            "refresh": "10s",
            "keep_stale": "20s",
            "min_refetch_interval": "3s",
        }}}))
    };
    let config = || with_timeout("1s");
    vec![
        scenario(
            "jwt_auth::requests_wait_for_the_first_keys",
            with_timeout("4s"),
            requests_wait_for_the_first_keys,
        ),
        scenario(
            "jwt_auth::one_worker_fetches_for_all",
            config(),
            one_worker_fetches_for_all,
        ),
        scenario(
            "jwt_auth::a_rotation_costs_one_fetch_and_no_request",
            config(),
            a_rotation_costs_one_fetch_and_no_request,
        ),
        scenario(
            "jwt_auth::made_up_key_ids_do_not_make_it_fetch",
            config(),
            made_up_key_ids_do_not_make_it_fetch,
        ),
        scenario(
            "jwt_auth::a_key_server_that_is_down_at_the_start",
            config(),
            a_key_server_that_is_down_at_the_start,
        ),
        scenario(
            "jwt_auth::a_key_server_that_goes_down_later",
            config(),
            a_key_server_that_goes_down_later,
        ),
        scenario(
            "jwt_auth::the_gauges_of_removed_documents_are_0",
            with_revocation(),
            the_gauges_of_removed_documents_are_0,
        ),
        scenario(
            "jwt_auth::garbage_replaces_no_keys",
            config(),
            garbage_replaces_no_keys,
        ),
        scenario(
            "jwt_auth::keys_may_begin_with_a_byte_order_mark",
            config(),
            keys_may_begin_with_a_byte_order_mark,
        ),
        scenario(
            "jwt_auth::compressed_keys_are_not_asked_for",
            config(),
            compressed_keys_are_not_asked_for,
        ),
        scenario(
            "jwt_auth::a_key_server_may_ask_for_a_pause_with_a_date",
            config(),
            a_key_server_may_ask_for_a_pause_with_a_date,
        ),
        scenario(
            "jwt_auth::clients_that_do_not_wait",
            config(),
            clients_that_do_not_wait,
        ),
    ]
}

/// Keys and a revocation list, from a server with one document for both.
fn with_revocation() -> Value {
    let remote = json!({"cluster": "idp", "uri": "https://idp.example/both", "timeout": "1s"});
    let mut config = one_provider(json!({"jwks": {"remote": remote}}));
    set(&mut config, "revocation", json!({"remote": remote}));
    config
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn document(document: &Value) -> Response {
    let mut response = Response::new(200);
    response.body = document.to_string().into_bytes();
    response
}

/// Publishes these keys on the key server.
fn publish(world: &mut dyn World, kids: &[&str]) {
    world.serve(Cluster::Idp, Upstream::Answers(document(&jwks(kids))));
}

/// Publishes these keys, and waits until the plugin has them.
fn install(world: &mut dyn World, kids: &[&str]) {
    publish(world, kids);
    world.pass(seconds(3));
    world.received_by(Cluster::Idp);
}

fn fetches(world: &mut dyn World, result: &str) -> u64 {
    let labels = [("provider", "corp"), ("result", result)];
    world.counter(&crate::counter("jwt_auth", "edge", &labels, "jwks_fetches"))
}

fn gauge(world: &mut dyn World, metric: &str) -> u64 {
    let labels: &[(&str, &str)] = match metric {
        "waiting" => &[],
        metric if metric.starts_with("revocation_") => &[],
        _ => &[("provider", "corp")],
    };
    world.gauge(&crate::counter("jwt_auth", "edge", labels, metric))
}

fn requests_wait_for_the_first_keys(world: &mut dyn World) {
    let slow = Answer::from(document(&jwks(&["a"]))).after(Duration::from_millis(500));
    world.serve(Cluster::Idp, Upstream::always(slow));
    // On a real Envoy, a first fetch has failed by now, and the requests wait for the next one.
    let request = || with_token(Request::get("/"), &token(json!({})));
    let responses = world.send_together(vec![request(), request(), request(), request()]);
    assert!(
        responses.iter().all(|response| response.status == 200),
        "{responses:?}"
    );
    assert_eq!(gauge(world, "waiting"), 0);
    assert_eq!(gauge(world, "jwks_keys"), 1);
}

fn one_worker_fetches_for_all(world: &mut dyn World) {
    install(world, &["a"]);
    let before = fetches(world, "good");
    for _ in 0..4 {
        assert_eq!(status(world, &token(json!({}))), 200);
    }
    world.pass(seconds(10));
    assert_eq!(fetches(world, "good"), before + 1);
    let calls = world.received_by(Cluster::Idp);
    assert_eq!(calls.len(), 1, "{calls:?}");
    for call in calls {
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("GET", "/keys?v=1")
        );
        assert_eq!(call.host, "idp.example");
    }
}

fn a_rotation_costs_one_fetch_and_no_request(world: &mut dyn World) {
    install(world, &["a"]);
    assert_eq!(status(world, &token(json!({}))), 200);
    publish(world, &["a", "b"]);
    let rotated = || with_token(Request::get("/"), &token_of("b", json!({})));
    let responses = world.send_together((0..8).map(|_| rotated()).collect());
    assert!(
        responses.iter().all(|response| response.status == 200),
        "{responses:?}"
    );
    assert_eq!(world.received_by(Cluster::Idp).len(), 1);
    assert_eq!(
        status(world, &token(json!({}))),
        200,
        "the old key is still published"
    );
    // Once it is not, no worker accepts it.
    publish(world, &["b"]);
    world.pass(seconds(12));
    for _ in 0..4 {
        assert_eq!(status(world, &token(json!({}))), 401);
        assert_eq!(status(world, &token_of("b", json!({}))), 200);
    }
}

fn made_up_key_ids_do_not_make_it_fetch(world: &mut dyn World) {
    install(world, &["a"]);
    for number in 0..20 {
        let token = token_of(&format!("made-up-{number}"), json!({}));
        assert_eq!(status(world, &token), 401);
    }
    let calls = world.received_by(Cluster::Idp).len();
    assert!(calls <= 2, "{calls} fetches");
    assert_eq!(decisions(world, "all", "refused", "unknown_key"), 20);
    assert_eq!(status(world, &token(json!({}))), 200);
}

fn a_key_server_that_is_down_at_the_start(world: &mut dyn World) {
    world.serve(Cluster::Idp, Upstream::Unreachable);
    world.pass(seconds(2));
    for _ in 0..4 {
        let response = world.send(with_token(Request::get("/"), &token(json!({}))));
        assert_eq!(response.status, 503);
        assert_eq!(response.get_header("www-authenticate"), None);
        let retry_after = response.get_header("retry-after").unwrap_or_default();
        assert!(
            retry_after
                .parse::<u64>()
                .is_ok_and(|seconds| (1..=10).contains(&seconds))
        );
    }
    assert_eq!(decisions(world, "all", "refused", "keys_unavailable"), 4);
    assert_eq!(
        world.send(Request::get("/")).status,
        401,
        "this needs no key"
    );
    assert!(fetches(world, "status") >= 1);
    assert_eq!(gauge(world, "jwks_missing"), 1);
    let warnings = world.warnings().join("\n");
    let explained = "keys of corp not fetched from https://idp.example/keys?v=1: status 503: \"upstream connect error";
    assert!(warnings.contains(explained), "{warnings}");

    publish(world, &["a"]);
    world.pass(seconds(12));
    assert_eq!(status(world, &token(json!({}))), 200);
    assert_eq!(gauge(world, "jwks_missing"), 0);
}

/// An alert must not fire for a document that an operator has removed.
fn the_gauges_of_removed_documents_are_0(world: &mut dyn World) {
    const GAUGES: [&str; 6] = [
        "jwks_keys",
        "jwks_age_seconds",
        "jwks_missing",
        "revocation_entries",
        "revocation_age_seconds",
        "revocation_missing",
    ];
    let mut both = jwks(&["a"]);
    set(
        &mut both,
        "revoked",
        json!([{"iss": ISSUER, "jti": "lost", "exp": LATE}]),
    );
    world.serve(Cluster::Idp, Upstream::Answers(document(&both)));
    world.pass(seconds(5));
    let [keys, age, missing, entries, list_age, no_list] = GAUGES.map(|name| gauge(world, name));
    assert_eq!((keys, missing, entries, no_list), (1, 0, 1, 0));
    assert!(age > 0 && list_age > 0, "{age} {list_age}");

    world.reconfigure(&[plugin(&one_provider(json!({})))]);
    world.pass(seconds(2));
    assert_eq!(GAUGES.map(|name| gauge(world, name)), [0; 6]);

    // A document returns, and its server is down.
    let mut other = with_revocation();
    for source in ["/providers/corp/jwks/remote", "/revocation/remote"] {
        let source = other.pointer_mut(source).expect("a source");
        set(source, "uri", json!("https://idp.example/gone"));
    }
    world.serve(Cluster::Idp, Upstream::Unreachable);
    world.reconfigure(&[plugin(&other)]);
    world.pass(seconds(2));
    assert_eq!(
        (
            gauge(world, "jwks_missing"),
            gauge(world, "revocation_missing")
        ),
        (1, 1)
    );
    set(&mut other, "mode", json!("off"));
    world.reconfigure(&[plugin(&other)]);
    world.pass(seconds(2));
    assert_eq!(GAUGES.map(|name| gauge(world, name)), [0; 6]);
}

fn a_key_server_that_goes_down_later(world: &mut dyn World) {
    install(world, &["a"]);
    assert_eq!(status(world, &token(json!({}))), 200);
    world.serve(Cluster::Idp, Upstream::Unreachable);
    world.pass(seconds(15));
    // Stale keys are still used, also for a new token.
    assert_eq!(status(world, &token(json!({"sub": "bob"}))), 200);
    assert!(gauge(world, "jwks_age_seconds") >= 10);
    // Now the keys are too old.
    world.pass(seconds(20));
    assert_eq!(status(world, &token(json!({}))), 503);
    assert_eq!(gauge(world, "jwks_missing"), 1);
    publish(world, &["a"]);
    world.pass(seconds(12));
    assert_eq!(status(world, &token(json!({}))), 200);
    assert!(gauge(world, "jwks_age_seconds") < 12);
}

fn garbage_replaces_no_keys(world: &mut dyn World) {
    install(world, &["a"]);
    for garbage in [
        document(&json!({"keys": []})),
        document(&json!("<html>")),
        Response::new(200).without_body(),
        Response::new(404),
    ] {
        world.serve(Cluster::Idp, Upstream::Answers(garbage));
        world.pass(seconds(4));
        assert_eq!(status(world, &token(json!({}))), 200);
    }
    assert!(fetches(world, "unusable") + fetches(world, "status") >= 1);
    assert_eq!(gauge(world, "jwks_keys"), 1);
}

fn keys_may_begin_with_a_byte_order_mark(world: &mut dyn World) {
    let mut marked = document(&jwks(&["a"]));
    marked.body.splice(0..0, *b"\xef\xbb\xbf");
    world.serve(Cluster::Idp, Upstream::Answers(marked));
    world.pass(seconds(3));
    assert_eq!(status(world, &token(json!({}))), 200);
}

/// The log names a server that compresses anyway.
fn compressed_keys_are_not_asked_for(world: &mut dyn World) {
    let mut compressed = document(&json!({})).header("content-encoding", "gzip");
    compressed.body = b"\x1f\x8b\x08\0\0\0\0\0".to_vec();
    world.serve(Cluster::Idp, Upstream::Answers(compressed));
    world.pass(seconds(3));
    assert_eq!(status(world, &token(json!({}))), 503);
    let calls = world.received_by(Cluster::Idp);
    let accepted = calls
        .first()
        .and_then(|call| call.get_header("accept-encoding"));
    assert_eq!(accepted.as_deref(), Some("identity"));
    let warnings = world.warnings().join("\n");
    let explained = "content-encoding: gzip, which the request does not accept";
    assert!(warnings.contains(explained), "{warnings}");
}

fn clients_that_do_not_wait(world: &mut dyn World) {
    install(world, &["a"]);
    let slow = Answer::from(document(&jwks(&["a", "b"]))).after(Duration::from_millis(600));
    world.serve(Cluster::Idp, Upstream::always(slow));
    let gone = world.begin(with_token(Request::get("/"), &token_of("b", json!({}))));
    let stays = world.begin(with_token(Request::get("/"), &token_of("b", json!({}))));
    world.pass(Duration::from_millis(200));
    assert_eq!(gauge(world, "waiting"), 2);
    world.abandon(gone);
    assert_eq!(gauge(world, "waiting"), 1);
    assert_eq!(world.finish(stays).status, 200);
    assert_eq!(gauge(world, "waiting"), 0);
    assert_eq!(world.received().len(), 1);
}

/// Eight seconds, by the server's own clock.
fn a_key_server_may_ask_for_a_pause_with_a_date(world: &mut dyn World) {
    let busy = Response::new(503)
        .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("retry-after", "Sun, 06 Nov 1994 08:49:45 GMT");
    world.serve(Cluster::Idp, Upstream::Answers(busy));
    // On a real Envoy, fetches have failed by now, which do not count, and the next one may be 10 s away.
    world.received_by(Cluster::Idp);
    for _ in 0..12 {
        world.pass(seconds(1));
        if !world.received_by(Cluster::Idp).is_empty() {
            break;
        }
    }
    world.pass(seconds(5));
    let calls = world.received_by(Cluster::Idp);
    assert!(calls.is_empty(), "{calls:?}");
    publish(world, &["a"]);
    world.pass(seconds(12));
    assert_eq!(status(world, &token(json!({}))), 200);
}
