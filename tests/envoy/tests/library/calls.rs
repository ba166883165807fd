//! Calls of requests to a gRPC service, on both hosts.

use std::time::{Duration, Instant};

use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::{HttpFilter as _, PluginFilter};
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_envoy_tests::upstream::{Ending, Reply, Upstream};
use serde_json::{Value, json};

use super::is_wasm;

fn http2(name: &str, upstream: &Upstream) -> Value {
    let mut cluster = bootstrap::cluster(name, upstream.address());
    cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"] = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    cluster
}

fn builder(service: &Upstream) -> Builder {
    with("{}", service)
}

fn with(configuration: &str, service: &Upstream) -> Builder {
    Envoy::builder()
        .plugin(&PluginFilter::meter().configuration(configuration))
        .cluster(http2("meter", service))
}

fn frame(message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message.as_bytes()].concat()
}

fn grpc() -> Reply {
    Reply::new(200).header("content-type", "application/grpc")
}

fn ok(message: &str) -> Reply {
    grpc().body(frame(message)).trailer("grpc-status", "0")
}

/// Answers with the last part of the message, after the milliseconds in the part before it.
fn echo() -> Upstream {
    Upstream::start(|request| {
        let message = String::from_utf8_lossy(request.body.get(5..).unwrap()).into_owned();
        let parts: Vec<&str> = message.split('/').collect();
        let delay = parts.get(2).map_or(0, |delay| delay.parse().unwrap());
        ok(parts.last().unwrap()).delay(Duration::from_millis(delay))
    })
}

fn get(envoy: &Envoy, path: &str) -> String {
    envoy.client().send(&Request::get(path)).text()
}

#[test]
fn a_request_waits_for_its_answer() {
    let service = echo();
    let envoy = builder(&service).start();
    assert_eq!(get(&envoy, "/wait/3/yes"), "yes 2");
    let call = service.wait_for_requests(1).remove(0);
    assert_eq!(call.method, "POST");
    assert_eq!(call.target, "/test.Meter/Count");
    for (name, value) in [
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "30000m"),
        ("host", "meter"),
    ] {
        assert_eq!(call.headers.text(name), Some(value), "{name}");
    }
    assert_eq!(call.body, frame("/wait/3/yes"));
    envoy.assert_no_vm_failed();
}

/// The answer wakes the request, and not a tick, which comes every second.
#[test]
fn the_answer_wakes_the_request_at_once() {
    let service = echo();
    let envoy = builder(&service).concurrency(1).start();
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(get(&envoy, "/wait/0/yes"), "yes 2");
            started.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[10] < Duration::from_millis(250), "{times:?}");
}

#[test]
fn a_call_survives_its_request() {
    let service = echo();
    let envoy = builder(&service).start();
    let answer = envoy.client().send(&Request::get("/renew/1000/later"));
    assert_eq!(answer.status, 200);
    assert_eq!(get(&envoy, "/read"), "");
    wait_until("the answer", || get(&envoy, "/read") == "later;");
    envoy.assert_no_vm_failed();
}

#[test]
fn the_answer_counts_even_if_the_client_is_gone() {
    let service = echo();
    let envoy = builder(&service).start();
    let gone = envoy.client().start(Request::get("/wait/200/gone"));
    service.wait_for_requests(1);
    gone.disconnect();
    wait_until("the answer", || get(&envoy, "/read") == "gone;");
    envoy.assert_no_vm_failed();
}

/// Connections land on any of the workers. In WebAssembly the workers do not wake each other.
#[test]
fn requests_of_all_workers_wait_for_one_answer() {
    let service = echo();
    let configuration = json!({"polls": is_wasm()}).to_string();
    let envoy = with(&configuration, &service).concurrency(4).start();
    let follow = |_| envoy.client().start(Request::get("/follow"));
    let followers: Vec<Pending> = (0..24).map(follow).collect();
    std::thread::sleep(Duration::from_millis(100));
    envoy.client().send(&Request::get("/renew/50/here"));
    wait_until("all", || followers.iter().all(Pending::is_finished));
    let texts: Vec<String> = followers
        .into_iter()
        .map(|it| it.response().text())
        .collect();
    assert_eq!(texts, vec!["here;"; 24]);
}

#[test]
fn a_request_that_was_judged_again_calls_again() {
    let service = Upstream::start(|request| match request.body.ends_with(b"/second") {
        true => ok("enough"),
        false => ok("again"),
    });
    let envoy = builder(&service).start();
    assert_eq!(get(&envoy, "/wait"), "enough 3");
    envoy.assert_no_vm_failed();
}

#[test]
fn failures_are_values() {
    const BROKEN: &str = "the connection was reset, or the response broke off";
    const NO_GRPC: &str = "not a gRPC response with one whole message";

    let on_library = |library, wasm| if is_wasm() { wasm } else { library };
    let service = echo();
    let envoy = builder(&service).start();
    for (reply, expected) in [
        (grpc().header("grpc-status", "8"), "gRPC status 8"),
        // The library sees no trailers.
        (
            grpc().trailer("grpc-status", "8"),
            on_library(NO_GRPC, "gRPC status 8"),
        ),
        (
            grpc().body(frame("x")).trailer("grpc-status", "8"),
            on_library("x", "gRPC status 8"),
        ),
        (Reply::new(503), "HTTP status 503"),
        (Reply::new(200).body("<html>"), NO_GRPC),
        (ok(&"x".repeat(100)), NO_GRPC),
        (Reply::none(Ending::Reset), "gRPC status 14"),
        (grpc().body("x").ending(Ending::Reset), BROKEN),
    ] {
        service.set_script(move |_| Reply::clone(&reply));
        assert_eq!(get(&envoy, "/wait"), format!("{expected} 2"));
    }
    service.refuse_connections();
    assert_eq!(get(&envoy, "/wait"), "gRPC status 14 2");
    envoy.assert_no_vm_failed();
}

/// In WebAssembly the call fails at once; in the library the main thread notices.
#[test]
fn a_call_that_envoy_does_not_send_is_an_error() {
    let mut empty = http2("meter", &echo());
    empty["load_assignment"]["endpoints"] = json!([]);
    let builder = || Envoy::builder().plugin(&PluginFilter::meter());
    for (builder, status) in [
        (builder(), "BadArgument"),
        (builder().cluster(empty), "InternalFailure"),
    ] {
        let envoy = builder.start();
        let expected = match is_wasm() {
            true => "refused".to_owned(),
            false => format!("not sent: http_filter_config_http_callout: {status} "),
        };
        for path in ["/wait", "/renew", "/wait"] {
            let text = get(&envoy, path);
            // A call that nobody waits for passes in the library.
            let passes = path == "/renew" && !is_wasm();
            assert!(passes || text.starts_with(&expected), "{path}: {text}");
        }
        envoy.assert_no_vm_failed();
    }
}

#[test]
fn a_lost_answer_does_not_leave_a_request_waiting() {
    let service = Upstream::start(|_| Reply::none(Ending::Hang));
    let envoy = with(r#"{"timeout_ms": 0, "patience_ms": 300}"#, &service).start();
    assert_eq!(get(&envoy, "/wait"), "late");
}

#[test]
fn a_route_with_its_own_configuration_calls_for_itself() {
    if is_wasm() {
        return;
    }
    let service = echo();
    let filter = PluginFilter::meter();
    let mut own = filter.to_json()["typed_config"].take();
    own["@type"] = "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute".into();
    own["filter_config"]["value"] = r#"{"name": "own"}"#.into();
    let route = json!({
        "match": {"prefix": "/wait/0/own"},
        "route": {"cluster": UPSTREAM},
        "typed_per_filter_config": {"meter": own},
    });
    let envoy = builder(&service).route(route).start();
    assert_eq!(get(&envoy, "/wait/0/own"), "own 2");
    // That of the route counts under its own name.
    assert_eq!(get(&envoy, "/read"), "");
    assert_eq!(get(&envoy, "/wait/0/other"), "other 2");
    assert_eq!(get(&envoy, "/read"), "other;");
}

/// A push drains the old listener: its requests wait on, and get their answers.
#[test]
fn a_push_while_requests_wait_ends_none_early() {
    let service = echo();
    let first = || builder(&service).replaceable_listeners();
    let envoy = first().start();
    let start = |n| envoy.client().start(Request::get(format!("/wait/500/{n}")));
    let clients: Vec<Pending> = (0..10).map(start).collect();
    envoy.client().send(&Request::get("/renew/500/later"));
    service.wait_for_requests(11);
    let next = first().connection_manager(json!({"server_name": "next"}));
    assert_eq!(envoy.replace_listeners(&next), Ok(()));
    for (number, client) in clients.into_iter().enumerate() {
        let text = client.response().text();
        assert!(text.starts_with(&format!("{number} ")), "{text}");
    }
    wait_until("the answer", || get(&envoy, "/read").contains("later;"));
    assert_eq!(get(&envoy, "/wait/0/next"), "next 2");
    envoy.assert_no_vm_failed();
}

/// Clients come and leave in four workers while answers come.
#[test]
fn a_crowd_that_comes_and_leaves_does_no_harm() {
    let service = echo();
    let envoy = builder(&service).concurrency(4).start();
    let mut clients = Vec::new();
    for number in 0..400 {
        let client = match number % 2 {
            0 => envoy.client(),
            _ => envoy.http2_client(),
        };
        let path = match number % 5 {
            0 => format!("/renew/{}/r", number % 7),
            _ => format!("/wait/{}/{number}", number % 23),
        };
        clients.push((number, client.start(Request::get(path))));
        if number % 3 == 0 {
            let leaver = number * 7 % clients.len();
            clients.swap_remove(leaver).1.disconnect();
        }
    }
    for (number, client) in clients {
        let response = client.response();
        assert_eq!(response.status, 200);
        if number % 5 != 0 {
            let text = response.text();
            assert!(text.starts_with(&format!("{number} ")), "{number}: {text}");
        }
    }
    envoy.assert_no_vm_failed();
    assert!(get(&envoy, "/wait/0/end").starts_with("end "));
}
