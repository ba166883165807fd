//! http_body: collects the response's body, and puts another in its place if it has a secret.
//!
//! The SDK's example takes every body for text, and panics over one that is not. The filter here does
//! as it does, because that is what the test is to see.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host::{Filter, Host, Request, Response};

use super::header;

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Redactor))
    }
}

struct Redactor;

impl Context for Redactor {}

impl HttpContext for Redactor {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        if let Some(body) = self.get_http_response_body(0, size) {
            if String::from_utf8(body).unwrap().contains("secret") {
                let notice = format!("{size} bytes withheld");
                self.set_http_response_body(0, size, notice.as_bytes());
            }
        }
        Action::Continue
    }
}

fn host(body: fn(&Request) -> Response) -> Host {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Root));
    let host = Host::builder().upstream(body);
    host.filter(Filter::from_fn("redactor", init))
        .start()
        .unwrap()
}

#[test]
fn a_secret_is_withheld_even_across_pieces() {
    let host = host(|_| Response::new(200).chunk("the sec").chunk("ret word"));
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.response().body_text(), "15 bytes withheld");
    assert_eq!(header(&outcome, "content-length"), None);
    let bodies = outcome
        .trace()
        .iter()
        .filter(|callback| callback.name == "response_body");
    let sizes: Vec<_> = bodies.map(|callback| callback.size).collect();
    assert_eq!(sizes, [7, 15, 15]);
}

#[test]
fn other_bodies_pass() {
    let host = host(|_| Response::new(200).body("nothing to hide"));
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.response().body_text(), "nothing to hide");
}

#[test]
fn a_body_that_is_no_text_kills_it() {
    let host = host(|_| Response::new(200).body(b"\xff\xfe"));
    let outcome = host.send(Request::get("/"));
    assert!(outcome.was_broken_off(), "{outcome}");
    let crash = host.expect_crash();
    assert_eq!(crash.callback, "proxy_on_response_body");
    assert!(crash.message.contains("Utf8Error"), "{crash}");
}
