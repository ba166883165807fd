//! Probes of a half-open circuit, and the moment when they count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::{PLAIN, cluster};
use portcullis_envoy_tests::upstream::{Ending, Reply};

use super::*;

/// Long streams for `/stream`, a failure for `/fails`.
fn streams(request: &Request) -> Reply {
    match request.target.as_str() {
        "/fails" => Reply::new(503),
        "/stream" => Reply::new(200)
            .header("content-type", "text/event-stream")
            .body("data: a\n\n")
            .ending(Ending::Hang),
        _ => Reply::new(200),
    }
}

fn sensitive() -> Builder {
    builder(json!({"consecutive_failures": 1, "half_open": {"permits": 3, "max_wait": "30s"}}))
}

fn write(envoy: &Envoy, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(envoy.address(PLAIN)).expect("a connection");
    stream.write_all(text.as_bytes()).expect("sent");
    stream
}

#[test]
fn a_service_of_long_streams_is_closed_as_soon_as_they_begin_well() {
    let envoy = sensitive().upstream(streams).start();
    statuses(&envoy, 1, 1, "/fails");
    thread::sleep(OPEN + Duration::from_millis(100));
    let open: Vec<TcpStream> = (0..6)
        .map(|_| {
            let stream = write(&envoy, "GET /stream HTTP/1.1\r\nhost: a\r\n\r\n");
            let mut some = [0; 64];
            let read = (&stream).read(&mut some).expect("an answer");
            assert!(
                some[..read].starts_with(b"HTTP/1.1 200"),
                "a stream is refused"
            );
            stream
        })
        .collect();
    assert_eq!((stat(&envoy, "state"), stat(&envoy, "closed")), (0, 1));
    drop(open);
    envoy.assert_no_vm_failed();
}

/// A service that switches protocols.
fn websocket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut some = [0; 1024];
                let _ = stream.read(&mut some);
                let _ = stream.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                );
                thread::sleep(Duration::from_secs(9));
            });
        }
    });
    address
}

#[test]
fn a_service_of_websockets_is_closed_as_soon_as_they_are_open() {
    let envoy = sensitive()
        .route(
            json!({"match": {"prefix": "/ws"}, "route": {"cluster": "ws",
            "upgrade_configs": [{"upgrade_type": "websocket"}]}}),
        )
        .cluster(cluster("ws", websocket()))
        .upstream(streams)
        .start();
    statuses(&envoy, 1, 1, "/fails");
    thread::sleep(OPEN + Duration::from_millis(100));
    let open: Vec<TcpStream> = (0..6)
        .map(|_| {
            let stream = write(
                &envoy,
                "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            );
            let mut some = [0; 64];
            let read = (&stream).read(&mut some).expect("an answer");
            assert!(
                some[..read].starts_with(b"HTTP/1.1 101"),
                "a socket is refused"
            );
            stream
        })
        .collect();
    assert_eq!(stat(&envoy, "state"), 0);
    drop(open);
    envoy.assert_no_vm_failed();
}

#[test]
fn uploads_that_stall_do_not_keep_others_from_probing() {
    let envoy = sensitive().upstream(streams).start();
    statuses(&envoy, 1, 1, "/fails");
    thread::sleep(OPEN + Duration::from_millis(100));
    let upload = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc";
    let stalled: Vec<TcpStream> = (0..3).map(|_| write(&envoy, upload)).collect();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(statuses(&envoy, 1, 3, "/"), [200, 200, 200]);
    assert_eq!(stat(&envoy, "state"), 0);
    drop(stalled);
    envoy.assert_no_vm_failed();
}

#[test]
fn an_upload_that_stalls_holds_its_permit_for_a_second() {
    let envoy = sensitive().upstream(streams).start();
    statuses(&envoy, 1, 1, "/fails");
    thread::sleep(OPEN + Duration::from_millis(100));
    let upload = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc";
    let stalled: Vec<TcpStream> = (0..3).map(|_| write(&envoy, upload)).collect();
    thread::sleep(Duration::from_millis(1_400));
    let post = Request::post("/", "abc");
    for _ in 0..3 {
        assert_eq!(envoy.client().send(&post).status, 200);
    }
    envoy.wait_for_stat(
        "portcullis.circuit_breaker.policy=.=edge;.;breaker=.=all;.;state",
        0,
    );
    drop(stalled);
    envoy.assert_no_vm_failed();
}

/// Stalled uploads do not close the half-open circuit of a dead upstream.
#[test]
fn uploads_that_time_out_close_nothing() {
    let envoy = sensitive()
        .connection_manager(json!({"request_timeout": "0.3s"}))
        .upstream(streams)
        .start();
    statuses(&envoy, 1, 1, "/fails");
    thread::sleep(OPEN + Duration::from_millis(100));
    let upload = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc";
    for _ in 0..4 {
        let mut stream = write(&envoy, upload);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        assert!(all.starts_with(b"HTTP/1.1 408"), "{}", all.escape_ascii());
    }
    assert_eq!((stat(&envoy, "state"), stat(&envoy, "closed")), (1, 0));
    envoy.assert_no_vm_failed();
}

#[test]
fn the_access_log_and_a_debug_line_say_which_breaker_denied() {
    let configuration = json!({"name": "edge", "breakers": [
        {"name": "payments", "state": "forced_open", "match": {"path": {"prefix": "/pay"}}}]});
    let envoy = Envoy::builder()
        .plugin_log_level("debug")
        .plugin(&PluginFilter::new("circuit-breaker").configuration(&configuration.to_string()))
        .start();
    assert_eq!(envoy.client().send(&Request::get("/pay")).status, 503);
    let logged = envoy.wait_for_access_log(1);
    assert_eq!(logged[0].details, "circuit_forced_open{payments}");
    let denials = envoy.log().into_iter().filter(|record| {
        let message = record.plugin_message().unwrap_or_default();
        message.contains("denied: circuit_forced_open{payments}")
    });
    assert_eq!(denials.count(), 1);
}
