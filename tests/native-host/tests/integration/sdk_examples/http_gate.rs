//! http_auth_random: holds each request until another service has answered; the first byte decides.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response};

use super::header;

struct Gate;

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = vec![
            (":method", "GET"),
            (":path", "/bytes/1"),
            (":authority", "dice"),
        ];
        self.dispatch_http_call("dice", headers, None, vec![], Duration::from_secs(1))
            .unwrap();
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-gate", Some("open"));
        Action::Continue
    }
}

impl Context for Gate {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let body = self
            .get_http_call_response_body(0, size)
            .unwrap_or_default();
        match body.first() {
            Some(byte) if byte % 2 == 0 => self.resume_http_request(),
            _ => self.send_http_response(403, vec![("x-gate", "shut")], Some(b"not today\n")),
        }
    }
}

fn host(dice: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Host {
    let init = || proxy_wasm::set_http_context(|_, _| Box::new(Gate));
    let host = Host::builder().filter(Filter::from_fn("gate", init));
    host.cluster("dice", dice).start().unwrap()
}

#[test]
fn an_even_byte_opens() {
    let host = host(|request| {
        assert_eq!(request.header_value(":authority"), Some("dice"));
        Response::new(200).body([4]).into()
    });
    let outcome = host.send(Request::get("/"));
    assert_eq!(
        (outcome.status(), header(&outcome, "x-gate")),
        (200, Some("open"))
    );
}

#[test]
fn an_odd_byte_or_none_shuts() {
    for body in [&[3_u8][..], &[]] {
        let host = host(move |_| Response::new(200).body(body).into());
        let outcome = host.send(Request::get("/"));
        assert_eq!(outcome.status(), 403);
        assert!(outcome.upstream_request().is_none());
    }
}

#[test]
fn it_waits_no_longer_than_a_second() {
    let host = host(|_| Answer::never());
    let mut stream = host.open(Request::get("/"));
    host.advance(Duration::from_millis(999));
    assert!(!stream.is_over());
    host.advance(Duration::from_millis(1));
    // "upstream request timeout" begins with an odd byte.
    assert_eq!(stream.outcome().status(), 403);
}

/// A cluster that is not there makes the call fail, which this filter takes for impossible.
#[test]
fn without_the_service_it_crashes() {
    let init = || proxy_wasm::set_http_context(|_, _| Box::new(Gate));
    let host = Host::builder()
        .filter(Filter::from_fn("gate", init))
        .start()
        .unwrap();
    assert_eq!(host.send(Request::get("/")).status(), 503);
    assert!(host.expect_crash().message.contains("BadArgument"));
}
