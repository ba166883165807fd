//! Endings that the upstream causes.

use std::sync::Mutex;

use portcullis_envoy_tests::bootstrap::{REFUSING, UPSTREAM};
use portcullis_envoy_tests::upstream::{Ending, Reply};

use super::*;

fn answer(request: &Request) -> Reply {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let first = {
        let mut seen = SEEN.lock().expect("no panic");
        let first = !seen.contains(&request.target);
        seen.push(request.target.clone());
        first
    };
    let grpc = || Reply::new(200).header("content-type", "application/grpc");
    match request.target.as_str() {
        "/s/404" => Reply::new(404),
        "/s/ignored" => Reply::new(418),
        "/s/500" => Reply::new(500),
        "/s/503" | "/retried/503" => Reply::new(503),
        "/s/501" => Reply::new(501),
        "/s/505" => Reply::new(505),
        "/s/301" => Reply::new(301).header("location", "/elsewhere"),
        "/redirect/a" | "/redirect/post" => {
            Reply::new(302).header("location", "http://test.example/answered")
        }
        "/reset/before" | "/reset/trailers" => Reply::none(Ending::Reset),
        "/close/before" => Reply::none(Ending::Close),
        "/reset/after" => Reply::new(200).body("abc").ending(Ending::Reset),
        "/close/after" => Reply::new(200).body("abc").ending(Ending::Close),
        "/retried/well" if first => Reply::new(503),
        "/hedged/a" if first => Reply::new(200).delay(LATE),
        "/slow/a" => Reply::new(200).delay(Duration::from_millis(900)),
        "/grpc/0" => grpc().trailer("grpc-status", "0"),
        "/grpc/14" => grpc().body("abc").trailer("grpc-status", "14"),
        "/grpc/only13" => grpc().header("grpc-status", "13"),
        "/grpc/only5" => grpc().header("grpc-status", "5"),
        _ => Reply::new(200).body("ok"),
    }
}

fn grpc(path: &'static str) -> Client {
    Client::SendsHttp2(call(path))
}

#[test]
fn the_upstream_is_the_author_of_what_it_does() {
    let to = |more: Value| {
        let mut route = json!({"cluster": UPSTREAM});
        for (field, value) in more.as_object().expect("an object") {
            route[field] = value.clone();
        }
        route
    };
    let retry = json!({"retry_on": "5xx,reset", "num_retries": 1,
        "retry_back_off": {"base_interval": "0.001s"}});
    let hedge = json!({"per_try_timeout": "0.3s", "retry_on": "5xx", "num_retries": 2});
    let envoy = builder()
        .route(json!({"match": {"prefix": "/refusing/"}, "route": {"cluster": REFUSING}}))
        .route(json!({"match": {"prefix": "/empty/"}, "route": {"cluster": "empty"}}))
        // The target of the redirect has no result, so the result is that of the redirect itself.
        .route(json!({"match": {"prefix": "/answered"}, "direct_response": {"status": 200}}))
        .route(json!({"match": {"prefix": "/redirect/"}, "route":
            to(json!({"internal_redirect_policy": {}}))}))
        .route(
            json!({"match": {"prefix": "/retried/"}, "route": to(json!({"retry_policy": retry}))}),
        )
        .route(
            json!({"match": {"prefix": "/hedged/"}, "route": to(json!({"retry_policy": hedge,
            "hedge_policy": {"hedge_on_per_try_timeout": true}}))}),
        )
        .route(json!({"match": {"prefix": "/mirrored/"}, "route":
            to(json!({"request_mirror_policies": [{"cluster": REFUSING}]}))}))
        .cluster(
            json!({"name": "empty", "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": "empty"}}),
        )
        .connection_manager(json!({"http_protocol_options": {"accept_http_10": true,
            "default_host_for_http_10": "test.example", "enable_trailers": true}}))
        .upstream(answer)
        .start();
    let case = of_upstream;
    let plain = |what, path, details, verdict| case(what, path, get(path), details, verdict);
    const VIA: &str = "via_upstream";
    const BEFORE: &str = "upstream_reset_before_response_started{";
    const AFTER: &str = "upstream_reset_after_response_started{";
    let http10 = "GET /s/http10 HTTP/1.0\r\nx-case: /s/http10\r\n\r\n".to_owned();
    check(
        &envoy,
        vec![
            plain("a response of 2xx", "/s/200", VIA, "success"),
            plain("a response of 3xx", "/s/301", VIA, "success"),
            plain("a response of 4xx", "/s/404", VIA, "success"),
            plain("a response of 500", "/s/500", VIA, "failure"),
            plain("a response of 503", "/s/503", VIA, "failure"),
            plain("a response of 501", "/s/501", VIA, "success"),
            plain("a response of 505", "/s/505", VIA, "success"),
            case(
                "a response over HTTP/1.0",
                "/s/http10",
                Client::Writes(vec![(0, http10)]),
                VIA,
                "success",
            ),
            case(
                "a response over HTTP/2",
                "/s/http2",
                Client::SendsHttp2(Request::get("/s/http2")),
                VIA,
                "success",
            ),
            plain(
                "a reset before the response",
                "/reset/before",
                BEFORE,
                "failure",
            ),
            case(
                "a reset of a request with trailers",
                "/reset/trailers",
                Client::SendsHttp2(Request::post("/reset/trailers", "abc").trailer("x-sum", "1")),
                BEFORE,
                "failure",
            ),
            plain(
                "a close before the response",
                "/close/before",
                BEFORE,
                "failure",
            ),
            plain(
                "a reset within the response",
                "/reset/after",
                AFTER,
                "failure",
            ),
            plain(
                "a close within the response",
                "/close/after",
                AFTER,
                "failure",
            ),
            plain("no connection", "/refusing/a", BEFORE, "failure"),
            case(
                "no connection, an upload that stalls",
                "/refusing/stalled",
                Client::Writes(vec![(
                    0,
                    head("POST", "/refusing/stalled", "content-length: 9\r\n"),
                )]),
                BEFORE,
                "failure",
            ),
            plain(
                "no healthy host",
                "/empty/a",
                "no_healthy_upstream",
                "failure",
            ),
            plain(
                "an internal redirect",
                "/redirect/a",
                "internal_redirect",
                "success",
            ),
            plain("a retry that ends well", "/retried/well", VIA, "success"),
            plain("retries that end badly", "/retried/503", VIA, "failure"),
            plain("a hedged request", "/hedged/a", VIA, "success"),
            plain("a mirror that fails", "/mirrored/a", VIA, "success"),
            case(
                "gRPC 0 in trailers",
                "/grpc/0",
                grpc("/grpc/0"),
                VIA,
                "success",
            ),
            case(
                "gRPC 14 in trailers",
                "/grpc/14",
                grpc("/grpc/14"),
                VIA,
                "failure",
            ),
            case(
                "gRPC 13 without a message",
                "/grpc/only13",
                grpc("/grpc/only13"),
                VIA,
                "failure",
            ),
            case(
                "gRPC 5 without a message",
                "/grpc/only5",
                grpc("/grpc/only5"),
                VIA,
                "success",
            ),
        ],
    );
}
