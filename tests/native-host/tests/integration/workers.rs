//! Several workers at once: shared data, metrics, and what they do not share.

use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType, Status};
use proxy_wasm_native_host::{Filter, Host, Request, Response};

use crate::common::{said, scripted};

/// Counts requests in shared data, with a compare-and-swap loop, and in a counter; and in a static
/// variable, which each VM has for itself.
struct Counting {
    counter: u32,
}

thread_local! {
    static SEEN: Cell<u32> = const { Cell::new(0) };
}

impl Context for Counting {}

impl RootContext for Counting {
    fn on_configure(&mut self, _: usize) -> bool {
        self.counter = hostcalls::define_metric(MetricType::Counter, "requests").unwrap();
        // Configured first on the main thread, again on every worker: only the first one seeds.
        match hostcalls::get_shared_data("count").unwrap() {
            (None, _) => hostcalls::set_shared_data("count", Some(b"0"), None).is_ok(),
            _ => true,
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self {
            counter: self.counter,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Counting {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        SEEN.set(SEEN.get() + 1);
        hostcalls::increment_metric(self.counter, 1).unwrap();
        loop {
            let (value, cas) = hostcalls::get_shared_data("count").unwrap();
            let count: u32 = String::from_utf8(value.unwrap()).unwrap().parse().unwrap();
            let next = (count + 1).to_string();
            match hostcalls::set_shared_data("count", Some(next.as_bytes()), cas) {
                Ok(()) => return Action::Continue,
                Err(Status::CasMismatch) => {}
                Err(status) => panic!("{status:?}"),
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-seen", Some(&SEEN.get().to_string()));
        Action::Continue
    }
}

fn counting() -> Filter {
    Filter::from_fn("counting", || {
        proxy_wasm::set_root_context(|_| Box::new(Counting { counter: 0 }));
    })
}

#[test]
fn no_request_is_lost_when_workers_race() {
    let host = Host::builder()
        .filter(counting())
        .workers(4)
        .start()
        .unwrap();
    host.race(|worker| {
        for _ in 0..250 {
            assert_eq!(worker.send(Request::get("/")).status(), 200);
        }
    });
    assert_eq!(
        host.shared_data().read("", "count").as_deref(),
        Some(&b"1000"[..])
    );
    assert_eq!(host.counter("requests"), 1000);
    // Every worker has a VM of its own.
    for index in 0..host.worker_count() {
        let outcome = host.worker(index).send(Request::get("/"));
        assert_eq!(outcome.response().headers().get("x-seen"), Some("251"));
    }
}

#[test]
fn a_test_can_make_a_filter_lose_the_race() {
    let host = Host::builder().filter(counting()).start().unwrap();
    let lost = std::sync::atomic::AtomicU32::new(0);
    host.shared_data().before_each_write(move |data, attempt| {
        if lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 {
            data.write(&attempt.vm_id, &attempt.key, b"41");
        }
    });
    assert_eq!(host.send(Request::get("/")).status(), 200);
    assert_eq!(host.shared_data().operations().mismatches, 3);
    assert_eq!(
        host.shared_data().read("", "count").as_deref(),
        Some(&b"42"[..])
    );
}

#[test]
fn shared_data_belongs_to_the_vm_id_and_can_be_inspected() {
    let host = Host::builder()
        .filter(scripted(
            "a",
            "request_headers write key value\nrequest_headers write other",
        ))
        .filter(scripted("b", "request_headers read key"))
        .start()
        .unwrap();
    host.send(Request::get("/"));
    assert!(said(&host).contains(&"b   read key -> status 1 cas 0".to_owned()));
    let data = host.shared_data();
    assert_eq!(data.keys("a"), ["key", "other"]);
    assert_eq!(data.size("a"), "keyvalueother".len());
    assert!(data.keys("b").is_empty());
}

#[test]
fn one_worker_goes_on_while_another_waits() {
    let host = Host::builder()
        .filter(scripted("a", ""))
        .upstream(|_: &Request| Response::new(204))
        .workers(2)
        .start()
        .unwrap();
    let first = host.worker(0).open_unfinished(Request::post("/"));
    assert_eq!(host.worker(1).send(Request::get("/")).status(), 204);
    first.end();
    assert_eq!(first.outcome().status(), 204);
}
