//! Filters that panic: what becomes of the request, of the VM, and of others.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use proxy_wasm_native_host::{Answer, FailurePolicy, Filter, Host, LogLevel, Request, Response};

use crate::common::{count, scripted};

const SECOND: Duration = Duration::from_secs(1);

/// Panics over requests with a body.
fn fragile(policy: FailurePolicy) -> Filter {
    scripted("fragile", "request_body panic\nconfigure write seed v").failure_policy(policy)
}

fn boom() -> Request {
    Request::post("/boom").body("boom")
}

fn host(policy: FailurePolicy) -> Host {
    Host::builder()
        .filter(scripted("first", ""))
        .filter(fragile(policy))
        .workers(2)
        .start()
        .unwrap()
}

#[test]
fn a_panic_is_logged_with_its_place() {
    let host = host(FailurePolicy::Closed);
    host.send(boom());
    let lines = host.logs();
    let line = lines
        .iter()
        .find(|line| line.level == LogLevel::Critical)
        .unwrap();
    assert_eq!(line.filter, "fragile");
    assert!(line.message.contains("as the script says"), "{line}");
    assert!(line.message.contains("script.rs:"), "{line}");
    assert_eq!(host.crashes().len(), 1);
}

#[test]
fn closed_is_closed_on_that_worker() {
    let host = host(FailurePolicy::Closed);
    let outcome = host.send(boom());
    assert_eq!(outcome.status(), 503);
    assert_eq!(outcome.code_details().as_deref(), Some("wasm_fail_stream"));
    host.expect_crash();
    host.advance(3600 * SECOND);
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.status(), 503);
    assert!(outcome.callbacks("fragile").is_empty());
    assert!(outcome.callbacks("first").contains(&"response_headers"));
    assert_eq!(host.worker(1).send(Request::get("/")).status(), 200);
}

#[test]
fn open_leaves_the_filter_out() {
    let host = host(FailurePolicy::Open);
    assert_eq!(host.send(boom()).status(), 503);
    host.expect_crash();
    let outcome = host.send(boom());
    assert_eq!(outcome.status(), 200);
    assert!(outcome.callbacks("fragile").is_empty());
}

#[test]
fn reload_starts_a_new_vm_but_not_too_soon() {
    let host = host(FailurePolicy::Reload);
    let configured = count(&host, "fragile configure");
    host.advance(SECOND);
    assert_eq!(host.send(boom()).status(), 503);
    host.expect_crash();
    // The last start was long enough ago: the next request finds a new VM.
    assert_eq!(host.send(Request::get("/")).status(), 200);
    assert_eq!(count(&host, "fragile configure"), configured + 1);
    // Now it was not.
    assert_eq!(host.send(boom()).status(), 503);
    host.expect_crash();
    assert_eq!(host.send(Request::get("/")).status(), 503);
    host.advance(SECOND);
    assert_eq!(host.send(Request::get("/")).status(), 200);
    assert_eq!(host.counter("wasm.fragile.vm_reload_success"), 2);
    assert_eq!(host.counter("wasm.fragile.vm_reload_backoff"), 1);
    assert_eq!(host.counter("wasm.fragile.vm_reload_failure"), 0);
    assert_eq!(host.counter("wasm.first.vm_reload_success"), 0);
    // What was shared is still there.
    assert_eq!(
        host.shared_data().read("fragile", "seed").as_deref(),
        Some(&b"v"[..])
    );
}

#[test]
fn streams_of_a_dead_vm_end_without_a_word() {
    let host = Host::builder()
        .filter(scripted("first", ""))
        .filter(scripted("fragile", "request_body panic"))
        .upstream(|_: &Request| Answer::from(Response::new(200)).after(SECOND))
        .start()
        .unwrap();
    let bystander = host.open(Request::get("/"));
    assert_eq!(host.send(boom()).status(), 503);
    host.expect_crash();
    host.advance(SECOND);
    let outcome = bystander.outcome();
    // Its response met a dead filter.
    assert_eq!(outcome.status(), 503);
    assert_eq!(outcome.callbacks("fragile"), ["request_headers"]);
    assert_eq!(
        outcome.callbacks("first"),
        ["request_headers", "log", "done", "delete"]
    );
    assert_eq!(count(&host, "fragile log"), 0);
}

#[test]
fn nothing_wakes_a_stream_that_a_dead_filter_has_paused() {
    let script = "request_headers pause\nconfigure tick 1000\ntick panic";
    let host = Host::builder()
        .filter(scripted("fragile", script))
        .start()
        .unwrap();
    let mut stream = host.open(Request::get("/"));
    host.advance(SECOND);
    assert!(!stream.is_over());
    assert_eq!(host.crashes().len(), 2, "on the main thread and the worker");
    stream.disconnect();
    assert_eq!(stream.outcome().callbacks("fragile"), ["request_headers"]);
}

#[test]
fn a_reloaded_vm_is_configured_and_has_its_timers() {
    let script = "configure tick 500\ntick panic";
    let fragile = scripted("fragile", script).failure_policy(FailurePolicy::Reload);
    let host = Host::builder().filter(fragile).start().unwrap();
    for round in 1..=3 {
        host.advance(2 * SECOND);
        assert_eq!(
            count(&host, "fragile tick"),
            1 + round,
            "on the main thread only once"
        );
        let crashes = host.crashes();
        assert!(
            crashes
                .iter()
                .all(|crash| crash.callback == "proxy_on_tick")
        );
        assert_eq!(host.send(Request::get("/")).status(), 200);
    }
    assert_eq!(host.counter("wasm.fragile.vm_reload_success"), 3);
}

/// Is configured well three times, which is what a host with one worker needs, and refuses after
/// that. Panics over every request.
struct Refusing;

impl Context for Refusing {}

impl RootContext for Refusing {
    fn on_configure(&mut self, _: usize) -> bool {
        let (count, _) = hostcalls::get_shared_data("count").unwrap();
        let count = [count.unwrap_or_default(), vec![b'x']].concat();
        hostcalls::set_shared_data("count", Some(&count), None).unwrap();
        count.len() <= 3
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        panic!("no streams here")
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

#[test]
fn a_vm_that_refuses_to_be_configured_again_stays_dead() {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Refusing));
    let refusing = Filter::from_fn("refusing", init).failure_policy(FailurePolicy::Reload);
    let host = Host::builder().filter(refusing).start().unwrap();
    for failures in 0..3 {
        assert_eq!(host.send(Request::get("/")).status(), 503);
        let crash = host.expect_crash();
        if failures == 0 {
            assert_eq!(crash.callback, "proxy_on_context_create");
        } else {
            assert_eq!(crash.callback, "proxy_on_configure");
            let message = "the VM is not reloaded: on_configure returned false";
            assert_eq!(crash.message, message);
        }
        assert_eq!(host.counter("wasm.refusing.vm_reload_failure"), failures);
        host.advance(SECOND);
    }
    assert_eq!(host.counter("wasm.refusing.vm_reload_success"), 0);
}

#[test]
fn filters_in_the_same_vm_die_together_and_are_reloaded_one_by_one() {
    let filter = |name: &str, script: &str| {
        scripted(name, script)
            .vm_id("same")
            .failure_policy(FailurePolicy::Reload)
    };
    let host = Host::builder()
        .filter(filter("a", ""))
        .filter(filter("b", "request_body panic"))
        .start()
        .unwrap();
    host.advance(SECOND);
    let outcome = host.send(boom());
    assert_eq!(outcome.status(), 503);
    assert!(!outcome.callbacks("a").contains(&"log"));
    assert_eq!(host.expect_crash().filter, "b");
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.status(), 200);
    assert!(outcome.callbacks("a").contains(&"log"));
    assert_eq!(host.counter("wasm.a.vm_reload_success"), 1);
    assert_eq!(host.counter("wasm.b.vm_reload_success"), 1);
}

#[test]
fn a_test_can_make_a_worker_crash() {
    let slow = |_: &Request| Answer::from(Response::new(200)).after(SECOND);
    let host = Host::builder()
        .filter(scripted("f", "").failure_policy(FailurePolicy::Reload))
        .workers(2)
        .upstream(slow)
        .start()
        .unwrap();
    host.advance(SECOND);
    let under_way = host.open(Request::get("/"));
    host.worker(0).crash("f");
    host.advance(SECOND);
    let outcome = under_way.outcome();
    assert!(!outcome.callbacks("f").contains(&"log"), "{outcome:?}");

    assert!(!host.open(Request::get("/")).is_over(), "it was reloaded");
    assert_eq!(host.counter("wasm.f.vm_reload_success"), 1);
    host.worker(1).open(Request::get("/"));
    assert_eq!(host.counter("wasm.f.vm_reload_success"), 1);
}
