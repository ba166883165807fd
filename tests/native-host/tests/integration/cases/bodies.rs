//! Bodies: changed, checked as a whole, and seen piece by piece.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use proxy_wasm_native_host::{Protocol, Request};

use super::{host, with_http};

/// Changes the request's body as a header says.
#[derive(Default)]
struct Editor {
    how: String,
}

impl Context for Editor {}

impl HttpContext for Editor {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.how = self.get_http_request_header("x-edit").unwrap_or_default();
        self.set_http_request_header("content-length", None);
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        match self.how.as_str() {
            "append" => self.set_http_request_body(size, 0, b", she said"),
            "prepend" => self.set_http_request_body(0, 0, b"She said: "),
            _ => self.set_http_request_body(0, size, b"nothing"),
        }
        Action::Continue
    }
}

#[test]
fn a_body_is_edited() {
    let filter = with_http("editor", |_, _| Box::new(Editor::default()));
    let host = host(filter).start().unwrap();
    for (how, expected) in [
        ("append", "no, never, she said"),
        ("prepend", "She said: no, never"),
        ("replace", "nothing"),
    ] {
        let request = Request::post("/")
            .header("x-edit", how)
            .chunk("no, ")
            .chunk("never");
        let outcome = host.send(request);
        let seen = outcome.upstream_request().unwrap();
        assert_eq!(seen.body_bytes(), expected.as_bytes(), "{how}");
        assert_eq!(seen.header_value("content-length"), None);
    }
}

/// Lets requests pass whose body is an object with an id.
struct Validator;

impl Context for Validator {}

impl HttpContext for Validator {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let kind = self.get_http_request_header("content-type");
        if end || kind.as_deref() != Some("application/json") {
            self.send_http_response(415, vec![], Some(b"JSON, please"));
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let object = text.trim().starts_with('{') && text.trim().ends_with('}');
        if object && text.contains("\"id\":") {
            return Action::Continue;
        }
        self.send_http_response(400, vec![], Some(b"an id is missing"));
        Action::Pause
    }
}

#[test]
fn a_body_is_validated_before_the_upstream_sees_it() {
    let host = host(with_http("validator", |_, _| Box::new(Validator)))
        .start()
        .unwrap();
    let json = |body: &str| {
        Request::post("/")
            .header("content-type", "application/json")
            .body(body)
    };
    for (request, status) in [
        (json(r#"{"id": 1}"#), 200),
        (json(r#"{"name": "x"}"#), 400),
        (json("id"), 400),
        (Request::post("/").body("text"), 415),
        (Request::get("/"), 415),
    ] {
        let outcome = host.send(request);
        assert_eq!(outcome.status(), status, "{outcome}");
        assert_eq!(outcome.upstream_request().is_some(), status == 200);
    }
}

/// Looks for a word in each piece, and stops the request at the first.
struct Censor;

impl Context for Censor {}

impl HttpContext for Censor {
    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        let piece = self.get_http_request_body(0, size).unwrap_or_default();
        if piece.windows(4).any(|word| word == b"evil") {
            self.send_http_response(451, vec![], None);
            return Action::Pause;
        }
        Action::Continue
    }
}

#[test]
fn a_body_is_seen_piece_by_piece() {
    let host = host(with_http("censor", |_, _| Box::new(Censor)))
        .start()
        .unwrap();
    let stream = host.open_unfinished(Request::post("/").protocol(Protocol::Http2));
    stream.send_body("good, ");
    stream.send_body("evil");
    let outcome = stream.outcome();
    assert_eq!(outcome.status(), 451);
    let sizes: Vec<_> = outcome
        .trace()
        .iter()
        .map(|callback| callback.size)
        .collect();
    assert_eq!(sizes[..3], [6, 6, 4], "{outcome:?}");
    // Whoever knows that pieces are pieces can pass.
    let outcome = host.send(Request::post("/").chunk("ev").chunk("il"));
    assert_eq!(outcome.status(), 200);
}
