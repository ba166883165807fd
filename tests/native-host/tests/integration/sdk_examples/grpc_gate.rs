//! grpc_auth_random: lets gRPC requests pass if a gRPC service answers with an even status.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, GrpcStatusCode};
use proxy_wasm_native_host::{Filter, GrpcReply, GrpcRequest, Host, Request, Response};

use super::header;

struct Gate;

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let grpc = self.get_http_request_header("content-type");
        if !grpc.is_some_and(|kind| kind.starts_with("application/grpc")) {
            self.send_http_response(503, vec![], Some(b"for gRPC only\n"));
            return Action::Pause;
        }
        let path = self.get_http_request_header(":path").unwrap_or_default();
        if path.starts_with("/grpc.reflection") {
            return Action::Continue;
        }
        let second = Duration::from_secs(1);
        self.dispatch_grpc_call("dice", "games.Dice", "Throw", vec![], None, second)
            .unwrap();
        Action::Pause
    }
}

impl Context for Gate {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, _: usize) {
        if status % 2 == 0 {
            return self.resume_http_request();
        }
        let text = Some("not today");
        self.send_grpc_response(GrpcStatusCode::Aborted, text, vec![("x-gate", b"shut")]);
    }
}

fn host(reply: impl Fn(&GrpcRequest) -> GrpcReply + Send + Sync + 'static) -> Host {
    let init = || proxy_wasm::set_http_context(|_, _| Box::new(Gate));
    let answer = |_: &Request| {
        let head = Response::new(200).header("content-type", "application/grpc");
        head.chunk(b"\0\0\0\0\0").trailer("grpc-status", "0")
    };
    Host::builder()
        .filter(Filter::from_fn("gate", init))
        .upstream(answer)
        .grpc_service("dice", reply)
        .start()
        .unwrap()
}

#[test]
fn an_even_status_opens() {
    for reply in [GrpcReply::ok("6"), GrpcReply::error(2, "two")] {
        let host = host(move |call| {
            assert_eq!((call.service(), call.method()), ("games.Dice", "Throw"));
            reply.clone()
        });
        let outcome = host.send(Request::grpc("/shop.Cart/Add").chunk(b"\0\0\0\0\0"));
        assert_eq!(outcome.response().trailers().get("grpc-status"), Some("0"));
    }
}

#[test]
fn an_odd_status_shuts() {
    let host = host(|_| GrpcReply::error(7, "seven"));
    let outcome = host.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!(header(&outcome, "grpc-status"), Some("10"));
    assert_eq!(header(&outcome, "grpc-message"), Some("not today"));
    assert_eq!(header(&outcome, "x-gate"), Some("shut"));
}

#[test]
fn other_clients_and_reflection_are_not_asked_about() {
    let host = host(|_| panic!("the service is not to be called"));
    assert_eq!(host.send(Request::get("/")).status(), 503);
    let reflection = Request::grpc("/grpc.reflection.v1.ServerReflection/Info");
    assert_eq!(host.send(reflection).status(), 200);
}

/// The status of a call that times out is 14, which is even: the SDK's example lets such requests pass.
#[test]
fn a_service_that_is_slow_opens() {
    let host = host(|_| GrpcReply::nothing());
    let stream = host.open(Request::grpc("/shop.Cart/Add"));
    host.advance(Duration::from_secs(1));
    assert!(stream.outcome().upstream_request().is_some());
}
