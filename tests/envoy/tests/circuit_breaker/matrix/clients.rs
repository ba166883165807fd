//! Endings that a client alone can cause.

use portcullis_envoy_tests::upstream::{Ending, Reply};

use super::*;

fn answer(request: &Request) -> Reply {
    match request.target.as_str() {
        "/long" | "/long2" => Reply::new(200).body("abc").ending(Ending::Hang),
        "/long503" => Reply::new(503).body("abc").ending(Ending::Hang),
        "/at-once" => Reply::new(200),
        _ => Reply::new(200).delay(LATE),
    }
}

#[test]
fn what_a_client_does_is_its_own() {
    let envoy = builder()
        .connection_manager(json!({"request_timeout": "0.9s"}))
        .upstream(answer)
        .start();
    const CLIENT: Judged = ("neutral", "client");
    let leaves = |path, after| Client::Leaves(vec![(0, head("GET", path, ""))], after);
    let chunked = |path| head("POST", path, "transfer-encoding: chunked\r\n");
    check(
        &envoy,
        vec![
            case(
                "the client leaves before the response",
                "/a",
                leaves("/a", 100),
                "downstream_remote_disconnect",
                GONE,
            ),
            case(
                "the client leaves before the response, HTTP/2",
                "/a2",
                Client::LeavesHttp2(Request::get("/a2"), 100),
                "http2.remote_reset",
                GONE,
            ),
            case(
                "the client leaves within its upload",
                "/upload",
                Client::Leaves(vec![(0, chunked("/upload") + "4\r\nab")], 100),
                "downstream_remote_disconnect",
                GONE,
            ),
            case(
                "the client leaves within the response",
                "/long",
                leaves("/long", 200),
                "downstream_remote_disconnect",
                SUCCESS,
            ),
            case(
                "the client leaves within the response, HTTP/2",
                "/long2",
                Client::LeavesHttp2(Request::get("/long2"), 200),
                "http2.remote_reset",
                SUCCESS,
            ),
            case(
                "the client leaves within a 503",
                "/long503",
                leaves("/long503", 200),
                "downstream_remote_disconnect",
                FAILURE,
            ),
            case(
                "an upload that takes longer than Envoy waits",
                "/stalled",
                Client::Writes(vec![(0, chunked("/stalled") + "4\r\nab")]),
                "request_overall_timeout",
                CLIENT,
            ),
            case(
                "a body that is malformed",
                "/malformed",
                Client::Writes(vec![
                    (0, chunked("/malformed")),
                    (100, "nonsense\r\n".into()),
                ]),
                "http1.codec_error",
                CLIENT,
            ),
            case(
                "a method that nobody knows",
                "/at-once",
                Client::Writes(vec![(0, head("MKCOL", "/at-once", ""))]),
                "via_upstream",
                SUCCESS,
            ),
        ],
    );
}

/// An upstream closes the connection after it has waited too long for an upload.
#[test]
fn an_upload_on_which_the_upstream_hangs_up_is_the_clients() {
    let impatient = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = impatient.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in impatient.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut some = [0; 512];
                let _ = stream.read(&mut some);
                std::thread::sleep(Duration::from_millis(300));
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    let envoy = builder()
        .route(json!({"match": {"prefix": "/"}, "route": {"cluster": "impatient"}}))
        .cluster(portcullis_envoy_tests::bootstrap::cluster(
            "impatient",
            address,
        ))
        .start();
    let upload = head("POST", "/stalled-close", "content-length: 8\r\n") + "abc";
    check(
        &envoy,
        vec![
            Case {
                what: "an upload that stalls until the upstream hangs up",
                path: "/stalled-close",
                client: Client::Writes(vec![(0, upload)]),
                details: "upstream_reset_before_response_started{connection_termination",
                verdict: "neutral",
                author: "client",
            },
            Case {
                what: "the upstream hangs up on a whole request",
                path: "/whole-close",
                client: get("/whole-close"),
                details: "upstream_reset_before_response_started{connection_termination",
                verdict: "failure",
                author: "upstream",
            },
        ],
    );
}

/// A client that does not read can prolong the response at will.
#[test]
fn a_response_that_the_client_does_not_read_is_no_failure() {
    let envoy = builder()
        .route(json!({"match": {"prefix": "/big"}, "route": {"cluster": "upstream", "timeout": "0.5s"}}))
        .connection_manager(json!({"http_protocol_options": {}}))
        .upstream(|_| Reply::new(200).body(vec![b'x'; 24 << 20]))
        .start();
    check(
        &envoy,
        vec![Case {
            what: "a download that the client does not read",
            path: "/big",
            client: Client::Stalls(head("GET", "/big", ""), 1_500),
            details: "response_timeout",
            verdict: "success",
            author: "upstream",
        }],
    );
}
