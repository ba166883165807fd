//! Long exchanges: upgrades, CONNECT, server-sent events.

use std::net::{SocketAddr, TcpListener};

use portcullis_envoy_tests::bootstrap::cluster;

use super::*;

/// A service that answers each request with this, and closes the connection after a delay.
fn service(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut some = [0; 1024];
                let _ = stream.read(&mut some);
                let _ = stream.write_all(answer.as_bytes());
                std::thread::sleep(Duration::from_millis(300));
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn tunnels_and_streams_go_by_their_headers() {
    let websocket = service(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello",
    );
    let events = service(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n",
    );
    let refuses = service("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let tunnel = service("HTTP/1.1 200 OK\r\n\r\n");
    let silent = service("");
    let upgrade = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    let to = |path: &str, name: &str| {
        let mut route = upgrade.clone();
        route["cluster"] = name.into();
        json!({"match": {"prefix": path}, "route": route})
    };
    let envoy = builder()
        .route(
            json!({"match": {"connect_matcher": {}}, "route": {"cluster": "tunnel",
            "upgrade_configs": [{"upgrade_type": "CONNECT"}]}}),
        )
        .route(to("/ws", "websocket"))
        .route(to("/no-ws", "refuses"))
        .route(to("/sse", "events"))
        .route(to("/hangs-up", "silent"))
        .route(
            json!({"match": {"prefix": "/silent"}, "route": {"cluster": "silent", "timeout": "0.1s",
            "upgrade_configs": [{"upgrade_type": "websocket"}]}}),
        )
        .cluster(cluster("websocket", websocket))
        .cluster(cluster("refuses", refuses))
        .cluster(cluster("events", events))
        .cluster(cluster("tunnel", tunnel))
        .cluster(cluster("silent", silent))
        .start();
    let case = of_upstream;
    let ws = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: test.example\r\nx-case: {path}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: \
             dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    check(
        &envoy,
        vec![
            case(
                "a WebSocket that the upstream closes",
                "/ws/closed",
                Client::Writes(vec![(0, ws("/ws/closed"))]),
                "upstream_reset_after_response_started{",
                "success",
            ),
            case(
                "a WebSocket that the client closes",
                "/ws/left",
                Client::Leaves(vec![(0, ws("/ws/left"))], 150),
                "downstream_remote_disconnect",
                "success",
            ),
            case(
                "a CONNECT tunnel that the upstream closes",
                "-",
                Client::Writes(vec![(
                    0,
                    "CONNECT test.example:80 HTTP/1.1\r\nhost: test.example:80\r\nx-case: -\r\n\r\n".to_owned(),
                )]),
                "upstream_reset_after_response_started{",
                "success",
            ),
            case(
                "an upgrade that the upstream refuses",
                "/no-ws",
                Client::Writes(vec![(0, ws("/no-ws"))]),
                "via_upstream",
                "success",
            ),
            Case {
                what: "a WebSocket that is never answered",
                path: "/silent/ws",
                client: Client::Writes(vec![(0, ws("/silent/ws"))]),
                details: "response_timeout",
                verdict: "neutral",
                author: "client",
            },
            Case {
                what: "a WebSocket on which the upstream hangs up",
                path: "/hangs-up/ws",
                client: Client::Writes(vec![(0, ws("/hangs-up/ws"))]),
                details: "upstream_reset_before_response_started{",
                verdict: "neutral",
                author: "client",
            },
            Case {
                what: "an upgrade whose body stalls",
                path: "/silent/body",
                client: Client::Writes(vec![(
                    0,
                    ws("/silent/body").replace("\r\n\r\n", "\r\ncontent-length: 9\r\n\r\n"),
                )]),
                details: "response_timeout",
                verdict: "neutral",
                author: "client",
            },
            case(
                "server-sent events that break off",
                "/sse/broken",
                Client::Writes(vec![(0, head("GET", "/sse/broken", ""))]),
                "upstream_reset_after_response_started{",
                "failure",
            ),
            case(
                "server-sent events that the client leaves",
                "/sse/left",
                Client::Leaves(vec![(0, head("GET", "/sse/left", ""))], 150),
                "downstream_remote_disconnect",
                "success",
            ),
        ],
    );
}
