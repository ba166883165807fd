//! Deadlines: the operator's, and those that clients choose or exhaust.

use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::upstream::{Ending, Reply};

use super::*;

fn answer(request: &Request) -> Reply {
    match request.target.as_str() {
        "/plain2/grpc4" => Reply::new(200)
            .header("content-type", "application/grpc")
            .header("grpc-status", "4")
            .delay(Duration::from_millis(50)),
        "/plain/grpc4" => Reply::new(200)
            .header("content-type", "application/grpc")
            .header("grpc-status", "4"),
        "/timeout/middle" | "/idle/middle" | "/duration/middle" => {
            Reply::new(200).body("abc").ending(Ending::Hang)
        }
        "/plain/slow-upload" => Reply::new(200),
        target if target.starts_with("/grpc-timeout/") => Reply::new(200)
            .header("content-type", "application/grpc")
            .header("grpc-status", "0")
            .delay(Duration::from_millis(300)),
        _ => Reply::new(200).delay(LATE),
    }
}

fn with_deadline(path: &'static str, name: &str, value: &str) -> Client {
    Client::Sends(Request::get(path).header(name, value))
}

fn grpc(path: &'static str, timeout: &str) -> Client {
    Client::SendsHttp2(call(path).header("grpc-timeout", timeout))
}

#[test]
fn a_deadline_is_its_owners() {
    let to = |path: &str, more: Value| {
        let mut route = json!({"cluster": UPSTREAM});
        for (field, value) in more.as_object().expect("an object") {
            route[field] = value.clone();
        }
        json!({"match": {"prefix": path}, "route": route})
    };
    let envoy = builder()
        .route(to("/timeout/", json!({"timeout": "0.4s"})))
        .route(to(
            "/tries/",
            json!({"retry_policy": {"retry_on": "5xx", "num_retries": 0,
            "per_try_timeout": "0.4s"}}),
        ))
        .route(to(
            "/idle-tries/",
            json!({"retry_policy": {"retry_on": "5xx", "num_retries": 0,
            "per_try_idle_timeout": "0.4s"}}),
        ))
        .route(to("/idle/", json!({"idle_timeout": "0.4s"})))
        .route(to(
            "/duration/",
            json!({"max_stream_duration": {"max_stream_duration": "0.7s"}}),
        ))
        .route(to(
            "/grpc-timeout/",
            json!({"max_stream_duration":
            {"grpc_timeout_header_max": "10s"}}),
        ))
        .connection_manager(json!({
            "use_remote_address": true,
            "internal_address_config": {"cidr_ranges":
                [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
        }))
        .upstream(answer)
        .start();
    let upload = |path| head("POST", path, "content-length: 8\r\n");
    check(
        &envoy,
        vec![
            case(
                "the route's timeout",
                "/timeout/a",
                get("/timeout/a"),
                "response_timeout",
                FAILURE,
            ),
            case(
                "the timeout of a try",
                "/tries/a",
                get("/tries/a"),
                "upstream_per_try_timeout",
                FAILURE,
            ),
            case(
                "the idle timeout of a try",
                "/idle-tries/a",
                get("/idle-tries/a"),
                "upstream_per_try_idle_timeout",
                FAILURE,
            ),
            case(
                "the idle timeout, the upstream silent",
                "/idle/a",
                get("/idle/a"),
                "stream_idle_timeout",
                FAILURE,
            ),
            case(
                "the idle timeout, an upload that stalls",
                "/idle/stalled",
                Client::Writes(vec![(0, upload("/idle/stalled") + "abc")]),
                "stream_idle_timeout",
                ("neutral", "client"),
            ),
            case(
                "the route's timeout within the response",
                "/timeout/middle",
                get("/timeout/middle"),
                "response_timeout",
                SUCCESS,
            ),
            case(
                "the idle timeout within the response",
                "/idle/middle",
                get("/idle/middle"),
                "stream_idle_timeout",
                SUCCESS,
            ),
            case(
                "the longest duration",
                "/duration/a",
                get("/duration/a"),
                "max_duration_timeout",
                GONE,
            ),
            case(
                "the longest duration within the response",
                "/duration/middle",
                get("/duration/middle"),
                "max_duration_timeout",
                SUCCESS,
            ),
            case(
                "a duration that the client chose",
                "/plain/duration",
                with_deadline(
                    "/plain/duration",
                    "x-envoy-upstream-stream-duration-ms",
                    "100",
                ),
                "upstream_max_stream_duration_reached",
                GONE,
            ),
            case(
                "a timeout that an internal client chose",
                "/plain/timeout",
                with_deadline("/plain/timeout", "x-envoy-upstream-rq-timeout-ms", "100"),
                "response_timeout",
                GONE,
            ),
            case(
                "a timeout of a try that an internal client chose",
                "/plain/try",
                with_deadline(
                    "/plain/try",
                    "x-envoy-upstream-rq-per-try-timeout-ms",
                    "100",
                ),
                "upstream_per_try_timeout",
                GONE,
            ),
            case(
                "a longer timeout of the client than the route's",
                "/tries/longer",
                with_deadline("/tries/longer", "x-envoy-upstream-rq-timeout-ms", "2000"),
                "upstream_per_try_timeout",
                FAILURE,
            ),
            case(
                "a `grpc-timeout` that Envoy heeds",
                "/grpc-timeout/a",
                grpc("/grpc-timeout/a", "20m"),
                "max_duration_timeout",
                GONE,
            ),
            case(
                "a `grpc-timeout` that the upstream heeds",
                "/plain2/grpc4",
                grpc("/plain2/grpc4", "1n"),
                "via_upstream",
                GONE,
            ),
            case(
                "gRPC 4 before the client's deadline",
                "/plain/grpc4",
                grpc("/plain/grpc4", "9S"),
                "via_upstream",
                FAILURE,
            ),
        ],
    );
}

/// After the first request, the worker knows that there are internal clients, and checks for them.
#[test]
fn slow_is_what_the_upstream_takes() {
    let envoy = builder()
        .upstream(|request| {
            Reply::new(200).delay(Duration::from_millis(match request.target.as_str() {
                "/slow" => 900,
                _ => 0,
            }))
        })
        .start();
    let observe = |path, client| {
        let case = Case {
            what: "",
            path,
            client,
            details: "",
            verdict: "",
            author: "",
        };
        let observed = observe(&envoy, &case);
        (observed.verdict, observed.is_slow)
    };
    let upload = |path| head("POST", path, "content-length: 8\r\n");
    let chunked = |path| head("POST", path, "transfer-encoding: chunked\r\n");
    assert_eq!(observe("/slow", get("/slow")), ("success".into(), true));
    let slow_upload = Client::Writes(vec![
        (0, upload("/upload")),
        (500, "abcd".into()),
        (500, "efgh".into()),
    ]);
    assert_eq!(observe("/upload", slow_upload), ("success".into(), false));
    let slow_chunks = Client::Writes(vec![
        (0, chunked("/chunked")),
        (500, "4\r\nabcd\r\n".into()),
        (500, "0\r\n\r\n".into()),
    ]);
    assert_eq!(observe("/chunked", slow_chunks), ("success".into(), false));
    let trailers = Client::Writes(vec![
        (0, chunked("/trailers")),
        (500, "4\r\nabcd\r\n0\r\n".into()),
        (500, "x-a: b\r\n\r\n".into()),
    ]);
    assert_eq!(observe("/trailers", trailers), ("success".into(), false));
    let leaves = Client::Leaves(vec![(0, upload("/leaves"))], 900);
    assert_eq!(observe("/leaves", leaves), ("abandoned".into(), false));
    envoy.assert_no_vm_failed();
}
