//! What filters and workers share: counters, data, queues.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType, Status};
use proxy_wasm_native_host::{Host, Request};

use super::{host, with_root};

/// Counts requests in a metric for each value of a header, and in shared data.
struct Counter {
    metrics: [u32; 2],
}

impl Context for Counter {}

impl RootContext for Counter {
    fn on_configure(&mut self, _: usize) -> bool {
        let define = |name: &str| hostcalls::define_metric(MetricType::Counter, name).unwrap();
        self.metrics = [define("requests.human"), define("requests.robot")];
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let metrics = self.metrics;
        Some(Box::new(Self { metrics }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Counter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let agent = self
            .get_http_request_header("user-agent")
            .unwrap_or_default();
        let metric = self.metrics[usize::from(agent.contains("bot"))];
        hostcalls::increment_metric(metric, 1).unwrap();
        loop {
            let (value, cas) = self.get_shared_data("count");
            let count = value.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
            let next = (count + 1).to_le_bytes();
            match self.set_shared_data("count", Some(&next), cas) {
                Ok(()) => return Action::Continue,
                Err(Status::CasMismatch) => {}
                Err(status) => panic!("{status:?}"),
            }
        }
    }
}

fn counting(workers: usize) -> Host {
    let filter = with_root("counter", |_| Box::new(Counter { metrics: [0; 2] }));
    let host = host(filter.vm_id("shared"))
        .workers(workers)
        .start()
        .unwrap();
    host.shared_data()
        .write("shared", "count", &0_u64.to_le_bytes());
    host
}

#[test]
fn requests_are_counted_by_kind() {
    let host = counting(1);
    for agent in ["curl", "a bot", "another bot"] {
        host.send(Request::get("/").header("user-agent", agent));
    }
    assert_eq!(host.counter("requests.human"), 1);
    assert_eq!(host.counter("requests.robot"), 2);
}

#[test]
fn workers_count_together() {
    let host = counting(4);
    host.race(|worker| {
        for _ in 0..25 {
            worker.send(Request::get("/"));
        }
    });
    let count = host.shared_data().read("shared", "count");
    assert_eq!(count, Some(100_u64.to_le_bytes().to_vec()));
}

/// Puts the path of each request into a queue of the other filter's.
struct Sender;

impl Context for Sender {}

impl RootContext for Sender {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Sender {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let queue = self.resolve_shared_queue("receiver", "paths").unwrap();
        let path = self.get_http_request_header(":path").unwrap_or_default();
        self.enqueue_shared_queue(queue, Some(path.as_bytes()))
            .unwrap();
        Action::Continue
    }
}

/// Logs what comes in.
struct Receiver;

impl Context for Receiver {}

impl RootContext for Receiver {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.register_shared_queue("paths");
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(path)) = self.dequeue_shared_queue(queue) {
            let text = format!("path {}", String::from_utf8_lossy(&path));
            hostcalls::log(LogLevel::Info, &text).unwrap();
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Idle))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Idle;

impl Context for Idle {}
impl HttpContext for Idle {}

#[test]
fn one_filter_sends_and_another_receives() {
    let host = Host::builder()
        .filter(with_root("receiver", |_| Box::new(Receiver)).vm_id("receiver"))
        .filter(with_root("sender", |_| Box::new(Sender)).vm_id("sender"))
        .workers(2)
        .start()
        .unwrap();
    host.send(Request::get("/a"));
    host.worker(1).send(Request::get("/b"));
    assert_eq!(super::said(&host), ["path /a", "path /b"]);
    assert_eq!(host.queue_size("receiver", "paths"), Some(0));
}

/// Refuses to start without both configurations.
struct Configured;

impl Context for Configured {}

impl RootContext for Configured {
    fn on_vm_start(&mut self, size: usize) -> bool {
        self.get_vm_configuration()
            .is_some_and(|config| config.len() == size)
    }

    fn on_configure(&mut self, size: usize) -> bool {
        self.get_plugin_configuration()
            .is_some_and(|config| config.len() == size)
    }
}

#[test]
fn both_configurations_are_needed() {
    let filter = || with_root("configured", |_| Box::new(Configured));
    assert!(
        host(filter().vm_config("vm").config("plugin"))
            .start()
            .is_ok()
    );
    let reason = |filter| host(filter).start().unwrap_err().reason;
    assert_eq!(
        reason(filter().config("plugin")),
        "on_vm_start returned false"
    );
    assert_eq!(
        reason(filter().vm_config("vm")),
        "on_configure returned false"
    );
}
