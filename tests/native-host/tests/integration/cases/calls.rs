//! Several calls for one request, and a route that the filter chooses.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use proxy_wasm_native_host::{Answer, Request, Response, Route};

use super::{host, with_http};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Asks ten services at once, and goes on when all have answered.
#[derive(Default)]
struct Survey {
    open: u32,
    total: u32,
}

impl HttpContext for Survey {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for path in 0..10 {
            let path = format!("/{path}");
            let headers = vec![
                (":method", "GET"),
                (":path", &path),
                (":authority", "votes"),
            ];
            let timeout = Duration::from_secs(1);
            self.dispatch_http_call("votes", headers, None, vec![], timeout)
                .unwrap();
            self.open += 1;
        }
        Action::Pause
    }
}

impl Context for Survey {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let votes = self
            .get_http_call_response_body(0, size)
            .unwrap_or_default();
        self.total += String::from_utf8_lossy(&votes).parse().unwrap_or(0);
        self.open -= 1;
        if self.open == 0 {
            self.set_http_response_header("x-votes", Some(&self.total.to_string()));
            self.resume_http_response();
        }
    }
}

#[test]
fn the_response_waits_for_all_answers() {
    let votes = |request: &Request| {
        let number = request.path().trim_start_matches('/').to_owned();
        let delay: u32 = number.parse().unwrap();
        Answer::from(Response::new(200).body(number)).after(delay * MILLISECOND)
    };
    let filter = with_http("survey", |_, _| Box::new(Survey::default()));
    let host = host(filter).cluster("votes", votes).start().unwrap();
    let mut stream = host.open(Request::get("/"));
    assert_eq!(
        host.pending_calls().len(),
        9,
        "the first is answered at once"
    );
    host.advance(8 * MILLISECOND);
    assert!(!stream.is_over());
    host.advance(MILLISECOND);
    assert_eq!(
        stream.outcome().response().header_value("x-votes"),
        Some("45")
    );
}

/// Sends every other request to the new version, by a header that the routes look at.
struct Canary;

impl Context for Canary {}

impl HttpContext for Canary {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let user = self.get_http_request_header("x-user").unwrap_or_default();
        if user.len() % 2 == 0 {
            self.set_http_request_header("x-version", Some("new"));
        }
        Action::Continue
    }
}

#[test]
fn a_header_of_the_filter_chooses_the_route() {
    let host = host(with_http("canary", |_, _| Box::new(Canary)))
        .cluster("new", |_: &Request| Response::new(200).body("new"))
        .route(Route::new("new").header("x-version", "new").cluster("new"))
        .route(Route::new("old"))
        .start()
        .unwrap();
    for (user, answer, route) in [("ann", "hello", "old"), ("otto", "new", "new")] {
        let outcome = host.send(Request::get("/").header("x-user", user));
        assert_eq!(outcome.response().body_text(), answer);
        let name = outcome.property("xds.route_name");
        assert_eq!(name.as_deref(), Some(route.as_bytes()));
    }
}
