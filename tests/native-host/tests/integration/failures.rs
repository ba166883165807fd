//! A filter that has died, or that calls what is not there, fails the test, and the test says why.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::ContextType;
use proxy_wasm_native_host::{Action, Filter, Host, Request, Response, Status};

use crate::common::{probe, scripted};

/// What the code panics with.
fn panic_of(code: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    let text = payload.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| (*payload.downcast_ref::<&str>().unwrap()).to_owned())
}

fn host(script: &str) -> Host {
    let filter = scripted("fragile", script);
    Host::builder().filter(filter).start().unwrap()
}

fn assert_says_why(text: &str) {
    for part in [
        "filter \"fragile\" crashed in proxy_on_request_headers on worker 0",
        "as the script says",
        "backtrace:",
        "on_http_request_headers",
        "[info] fragile (worker 0): fragile create",
        "Host::expect_crash",
    ] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!text.contains("proxy_wasm_native_host::vm"), "{text}");
    assert!(!text.contains("core::panicking"), "{text}");
}

#[test]
fn a_crash_fails_the_next_request() {
    let host = host("request_headers panic");
    assert_eq!(host.send(Request::get("/")).status(), 503);
    assert_says_why(&panic_of(|| drop(host.send(Request::get("/")))));
    // It is said once.
    assert_eq!(host.send(Request::get("/")).status(), 503);
}

#[test]
fn a_crash_fails_what_comes_instead_of_a_request() {
    let crashed = || {
        let host = host("request_headers panic");
        host.open(Request::get("/"));
        host
    };
    let host = crashed();
    assert_says_why(&panic_of(|| host.advance(Duration::from_secs(1))));
    let host = crashed();
    assert_says_why(&panic_of(|| drop(host.open(Request::get("/")))));
    let host = crashed();
    assert_says_why(&panic_of(|| drop(host.update(Vec::new()))));
}

#[test]
fn a_crash_fails_the_end_of_the_host() {
    let host = host("request_headers panic");
    host.send(Request::get("/"));
    assert_says_why(&panic_of(|| drop(host)));
}

#[test]
fn a_crash_at_the_very_end_fails_the_test_too() {
    let text = panic_of(|| drop(host("root_done panic")));
    assert!(text.contains("crashed in proxy_on_done on main"), "{text}");
}

#[test]
fn a_test_can_expect_a_crash() {
    let host = host("request_headers panic\nresponse_headers panic");
    host.send(Request::get("/"));
    let crash = host.expect_crash();
    assert_eq!(
        (&*crash.filter, crash.callback),
        ("fragile", "proxy_on_request_headers")
    );
    assert!(crash.message.ends_with("as the script says"), "{crash}");
    assert!(crash.backtrace.contains("probe.rs"), "{crash}");
    assert_eq!(crash.logs[0].message, "fragile create");
    assert_eq!(host.send(Request::get("/")).status(), 503);
    assert!(host.crashes().is_empty(), "a dead VM does not die again");
    let text = panic_of(|| drop(host.expect_crash()));
    assert!(text.contains("no filter has crashed"), "{text}");
}

#[test]
fn a_test_may_tolerate_crashes() {
    let host = Host::builder()
        .filter(scripted("fragile", "request_headers panic"))
        .workers(3)
        .tolerate_crashes()
        .start()
        .unwrap();
    host.race(|worker| {
        for _ in 0..3 {
            assert_eq!(worker.send(Request::get("/")).status(), 503);
        }
    });
    assert_eq!(host.crashes().len(), 3);
}

#[test]
fn a_stream_that_a_crash_left_says_so() {
    let host = host("request_headers pause\nrequest_headers call up / 100\ncall panic");
    let text = panic_of(|| drop(host.open(Request::get("/")).outcome()));
    assert!(text.contains("holds the request"), "{text}");
    assert!(!text.contains("crashed"), "{text}");
    let host = Host::builder()
        .filter(scripted(
            "fragile",
            "request_headers pause\nrequest_headers call upstream /\ncall panic",
        ))
        .start()
        .unwrap();
    let text = panic_of(|| drop(host.open(Request::get("/")).outcome()));
    assert!(
        text.contains("crashed in proxy_on_http_call_response"),
        "{text}"
    );
}

#[test]
fn the_callbacks_say_what_they_returned() {
    let host = host("request_body pause\nresponse_headers panic");
    let stream = host.open(Request::post("/").body("four"));
    stream.disconnect();
    let outcome = stream.outcome();
    let seen: Vec<_> = outcome.trace().iter().map(ToString::to_string).collect();
    let expected = [
        "fragile: request_headers (7) -> Continue",
        "fragile: request_body (4 bytes) -> Pause",
        "fragile: request_body (4 bytes, end) -> Pause",
        "fragile: log",
        "fragile: done",
        "fragile: delete",
    ];
    assert_eq!(seen, expected);
    let body = &outcome.trace()[2];
    assert_eq!(
        (body.size, body.end_of_stream, body.action),
        (4, true, Some(Action::Pause))
    );
    let outcome = host.send(Request::get("/"));
    let last = outcome
        .trace()
        .iter()
        .find(|callback| callback.action.is_none());
    assert!(
        last.unwrap().to_string().ends_with("-> crash"),
        "{outcome:?}"
    );
    host.expect_crash();
}

#[test]
fn a_panic_that_no_hook_sees_says_what_it_says() {
    let init = || std::panic::resume_unwind(Box::new("without a hook"));
    let filter = Filter::from_fn("silent", init);
    let error = Host::builder().filter(filter).start().unwrap_err();
    let reason = "it crashed in _initialize: without a hook";
    assert_eq!(error.reason, reason);
    assert!(error.to_string().contains("failures.rs"), "{error}");
}

/// A filter for connections.
struct Network;

impl Context for Network {}
impl StreamContext for Network {}

impl RootContext for Network {
    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

#[test]
fn network_filters_are_refused_at_once() {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Network));
    let filter = Filter::from_fn("tcp", init);
    let host = Host::builder().filter(filter).start().unwrap();
    let text = panic_of(|| drop(host.send(Request::get("/"))));
    assert!(
        text.contains("filter \"tcp\" is a network filter"),
        "{text}"
    );
}

#[test]
fn a_closure_of_the_test_may_panic_anywhere() {
    let asserting = |_: &[u8]| -> Result<Vec<u8>, Status> { panic!("the function's assertion") };
    let host = Host::builder()
        .foreign_function("check", asserting)
        .filter(scripted("a", "request_headers foreign check argument"))
        .start()
        .unwrap();
    let text = panic_of(|| drop(host.send(Request::get("/"))));
    assert_eq!(text, "the function's assertion");

    let host = Host::builder()
        .filter(scripted("a", "request_headers write key value"))
        .start()
        .unwrap();
    host.shared_data()
        .before_each_write(|_, attempt| assert_eq!(attempt.key, "another key"));
    let text = panic_of(|| drop(host.send(Request::get("/"))));
    assert!(text.contains("another key"), "{text}");

    let upstream = |_: &Request| -> Response { panic!("the upstream's assertion") };
    let host = Host::builder().upstream(upstream).start().unwrap();
    let text = panic_of(|| drop(host.send(Request::get("/"))));
    assert_eq!(text, "the upstream's assertion");

    let host = Host::builder()
        .filter(Filter::from_fn("b", probe::init))
        .start()
        .unwrap();
    let text = panic_of(|| host.race(|_| panic!("the race's assertion")));
    assert!(text.contains("scoped thread panicked"), "{text}");
}
