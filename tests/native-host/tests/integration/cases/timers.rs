//! Work on a timer: calls, foreign functions, and requests that are let go later.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use proxy_wasm_native_host::{Request, Response, Thread};

use super::{host, said, with_root};

const SECOND: Duration = Duration::from_secs(1);

fn log(text: &str) {
    hostcalls::log(LogLevel::Info, text).unwrap();
}

/// Calls a service on each tick, and logs its answer.
struct Poller;

impl Context for Poller {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let status = self.get_http_call_response_header(":status");
        let body = self
            .get_http_call_response_body(0, size)
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        log(&format!("{} {text}", status.unwrap_or_default()));
    }
}

impl RootContext for Poller {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.set_tick_period(SECOND);
        true
    }

    fn on_tick(&mut self) {
        let headers = vec![
            (":method", "GET"),
            (":path", "/news"),
            (":authority", "news"),
        ];
        self.dispatch_http_call("news", headers, None, vec![], SECOND)
            .unwrap();
    }
}

#[test]
fn a_service_is_polled() {
    let host = host(with_root("poller", |_| Box::new(Poller)))
        .cluster("news", |_: &Request| Response::new(200).body("none"))
        .start()
        .unwrap();
    host.advance(3 * SECOND);
    let of_worker = host
        .logs()
        .into_iter()
        .filter(|line| line.thread == Thread::Worker(0));
    let lines: Vec<_> = of_worker.map(|line| line.message).collect();
    assert_eq!(lines, ["200 none"; 3]);
}

/// Calls a foreign function on each tick.
struct Compressor {
    count: u32,
}

impl Context for Compressor {}

impl RootContext for Compressor {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.set_tick_period(SECOND);
        true
    }

    fn on_tick(&mut self) {
        self.count += 1;
        let text = "a".repeat(self.count as usize);
        let squeezed = self.call_foreign_function("compress", Some(text.as_bytes()));
        log(&format!("{:?}", squeezed.unwrap().unwrap()));
    }
}

#[test]
fn a_foreign_function_is_called() {
    let host = host(with_root("compressor", |_| {
        Box::new(Compressor { count: 0 })
    }))
    .foreign_function("compress", |text: &[u8]| Ok(vec![text.len() as u8]))
    .start()
    .unwrap();
    host.advance(2 * SECOND);
    // Each line once on the main thread and once on the worker.
    assert_eq!(said(&host), ["[1]", "[1]", "[2]", "[2]"]);
}

/// Holds all requests; each tick lets the oldest go.
#[derive(Clone, Default)]
struct Postponer {
    waiting: Rc<RefCell<VecDeque<u32>>>,
    id: u32,
}

impl Context for Postponer {}

impl RootContext for Postponer {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.set_tick_period(SECOND);
        true
    }

    fn on_tick(&mut self) {
        if let Some(id) = self.waiting.borrow_mut().pop_front() {
            hostcalls::set_effective_context(id).unwrap();
            hostcalls::resume_http_request().unwrap();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let waiting = Rc::clone(&self.waiting);
        Some(Box::new(Self { waiting, id }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Postponer {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.waiting.borrow_mut().push_back(self.id);
        Action::Pause
    }
}

#[test]
fn requests_are_let_go_one_after_the_other() {
    let filter = with_root("postponer", |_| Box::new(Postponer::default()));
    let host = host(filter).start().unwrap();
    let mut streams = ["/1", "/2", "/3"].map(|path| host.open(Request::get(path)));
    for over in 1..=3 {
        host.advance(SECOND);
        let count = streams
            .iter_mut()
            .filter_map(|stream| stream.is_over().then_some(()))
            .count();
        assert_eq!(count, over);
    }
}
