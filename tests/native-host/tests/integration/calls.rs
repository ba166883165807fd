//! HTTP calls of filters, as filters make them: for all streams at once, through the root context.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response, Thread};

use crate::common::{said, scripted};

/// Fetches a key when the first stream needs it, and lets all streams wait that come before it is
/// there: the pattern of every filter that verifies tokens.
#[derive(Default)]
struct Fetching {
    keys: Rc<RefCell<Keys>>,
}

#[derive(Default)]
struct Keys {
    key: Option<String>,
    under_way: bool,
    waiting: Vec<u32>,
}

impl Context for Fetching {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, _: usize) {
        let body = self
            .get_http_call_response_body(0, size)
            .unwrap_or_default();
        let mut keys = self.keys.borrow_mut();
        keys.under_way = false;
        keys.key = (headers > 0).then(|| String::from_utf8(body).unwrap());
        for stream in keys.waiting.drain(..) {
            // A stream that is gone by now cannot be addressed any more.
            if hostcalls::set_effective_context(stream).is_ok() {
                hostcalls::resume_http_request().unwrap();
            }
        }
    }
}

impl RootContext for Fetching {
    fn on_configure(&mut self, _: usize) -> bool {
        self.set_tick_period(Duration::from_secs(1));
        true
    }

    fn on_tick(&mut self) {
        let mut keys = self.keys.borrow_mut();
        if !keys.waiting.is_empty() && !keys.under_way {
            keys.under_way = true;
            let headers = vec![
                (":method", "GET"),
                (":path", "/jwks"),
                (":authority", "idp"),
            ];
            self.dispatch_http_call("idp", headers, None, vec![], Duration::from_secs(5))
                .unwrap();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let keys = Rc::clone(&self.keys);
        Some(Box::new(Waiting { id, keys }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Waiting {
    id: u32,
    keys: Rc<RefCell<Keys>>,
}

impl Context for Waiting {}

impl HttpContext for Waiting {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let mut keys = self.keys.borrow_mut();
        if keys.key.is_some() {
            return Action::Continue;
        }
        keys.waiting.push(self.id);
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let key = self.keys.borrow().key.clone();
        self.set_http_response_header("x-key", key.as_deref());
        Action::Continue
    }
}

fn fetching() -> Filter {
    Filter::from_fn("fetching", || {
        proxy_wasm::set_root_context(|_| Box::new(Fetching::default()));
    })
}

#[test]
fn streams_wait_for_a_call_of_the_root_context() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let host = Host::builder()
        .filter(fetching())
        .cluster("idp", move |request: &Request| {
            seen.lock().unwrap().push(request.clone());
            Answer::from(Response::new(200).body("secret")).after(Duration::from_millis(250))
        })
        .start()
        .unwrap();
    let gone = host.open(Request::get("/"));
    let waiting = [
        host.open(Request::get("/1")),
        host.open(Request::post("/2").body("b")),
    ];
    host.advance(Duration::from_secs(1));
    gone.disconnect();
    assert!(gone.outcome().try_response().is_none());
    host.advance(Duration::from_millis(250));
    for stream in waiting {
        let outcome = stream.outcome();
        assert_eq!(outcome.response().headers().get("x-key"), Some("secret"));
    }
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].method(), calls[0].path()), ("GET", "/jwks"));
    assert_eq!(
        calls[0].headers().get("x-envoy-expected-rq-timeout-ms"),
        Some("5000")
    );
}

#[test]
fn a_call_outlives_its_stream() {
    let host = Host::builder()
        .filter(scripted("a", "log call slow / 5000\nroot_call map call"))
        .cluster("slow", |_: &Request| {
            Answer::from(Response::new(204)).after(Duration::from_secs(2))
        })
        .start()
        .unwrap();
    host.send(Request::get("/"));
    host.advance(Duration::from_secs(2));
    // The SDK looks for the context that made the call; it is gone, and the outcome with it.
    assert!(!said(&host).iter().any(|line| line.contains("root_call")));
}

#[test]
fn the_main_thread_s_plugins_call_too() {
    let threads = Arc::new(Mutex::new(0));
    let calls = Arc::clone(&threads);
    let host = Host::builder()
        .filter(scripted("a", "configure call there /now 100"))
        .cluster("there", move |_: &Request| {
            *calls.lock().unwrap() += 1;
            Response::new(200)
        })
        .workers(2)
        .start()
        .unwrap();
    assert_eq!(*threads.lock().unwrap(), 3);
    let lines = host.logs().into_iter();
    let answered = lines.filter(|line| line.message.contains("root_call"));
    let threads: Vec<_> = answered.map(|line| line.thread).collect();
    assert_eq!(
        threads,
        [Thread::Main, Thread::Worker(0), Thread::Worker(1)]
    );
}

#[test]
fn a_call_without_a_timeout_waits_for_ever() {
    let host = Host::builder()
        .filter(scripted("a", "configure call there / 0"))
        .cluster("there", |_: &Request| Answer::never())
        .start()
        .unwrap();
    host.advance(Duration::from_secs(86_400));
    assert!(!said(&host).iter().any(|line| line.contains("root_call")));
}

/// Envoy tries a configuration out in a VM of the main thread that it then throws away: that one's
/// calls are never sent, and its timer never fires.
#[test]
fn what_is_asked_for_in_configure_happens_once_for_each_thread() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paths);
    let script = "configure call up /configured 1000\nconfigure tick 100\ntick call up /tick 1000\n\
                  tick tick 0";
    let host = Host::builder()
        .filter(scripted("a", script))
        .cluster("up", move |request: &Request| {
            seen.lock().unwrap().push(request.path().to_owned());
            Response::new(200)
        })
        .workers(2)
        .start()
        .unwrap();
    host.advance(Duration::from_secs(1));
    let configured = said(&host)
        .iter()
        .filter(|line| *line == "a configure")
        .count();
    assert_eq!(configured, 4);
    assert_eq!(
        *paths.lock().unwrap(),
        [["/configured"; 3], ["/tick"; 3]].concat()
    );
}
