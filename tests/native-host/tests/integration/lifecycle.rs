//! How plugins begin and end: configuration, updates, the end of the host.

use std::cell::Cell;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response, SharedData, Thread};

use crate::common::{count, probe, said, scripted};

#[test]
fn plugins_are_configured_on_the_main_thread_first() {
    let host = Host::builder()
        .filter(scripted("a", ""))
        .workers(2)
        .start()
        .unwrap();
    let threads: Vec<_> = host.logs().iter().map(|line| line.thread).collect();
    // Tried out, then configured for good.
    let expected = [
        Thread::Main,
        Thread::Main,
        Thread::Worker(0),
        Thread::Worker(1),
    ];
    assert_eq!(threads, expected);
}

#[test]
fn a_refused_configuration_says_why() {
    let error = Host::builder()
        .filter(scripted("good", ""))
        .filter(scripted("bad", "configure pause"))
        .start()
        .unwrap_err();
    assert_eq!(error.filter, "bad");
    assert_eq!(error.logs.last().unwrap().message, "bad configure");
    let text = error.to_string();
    assert!(text.contains("on_configure returned false"), "{text}");
    assert!(text.contains("[info] bad (main): bad configure"), "{text}");
    assert_eq!(format!("{error:?}"), text, "for tests that unwrap it");
}

#[test]
fn a_panic_over_the_configuration_is_an_error() {
    let error = Host::builder()
        .filter(scripted("bad", "configure panic"))
        .start()
        .unwrap_err();
    let reason = &error.reason;
    assert!(
        reason.starts_with("it crashed in proxy_on_configure: "),
        "{reason}"
    );
    let message = &error.logs.last().unwrap().message;
    assert!(message.contains("as the script says"), "{message}");
}

#[test]
fn a_panic_over_the_initialisation_is_an_error() {
    let init = || panic!("nothing works");
    let error = Host::builder().filter(Filter::from_fn("bad", init)).start();
    assert!(error.unwrap_err().reason.contains("nothing works"));
}

/// Counts the root contexts of its VM, whose thread-local variables are the module's static ones.
struct Counting;

thread_local! {
    static ROOTS: Cell<u32> = const { Cell::new(0) };
}

impl Context for Counting {}

impl RootContext for Counting {
    fn on_vm_start(&mut self, size: usize) -> bool {
        let config = self.get_vm_configuration().unwrap_or_default();
        assert_eq!(config.len(), size);
        ROOTS.set(ROOTS.get() + 1);
        let text = format!("{} {}", String::from_utf8_lossy(&config), ROOTS.get());
        hostcalls::log(LogLevel::Info, &text).is_ok()
    }
}

#[test]
fn filters_of_one_module_share_a_vm_unless_their_ids_differ() {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Counting));
    let roots = |second: &str| {
        let host = Host::builder()
            .filter(Filter::from_fn("a", init).vm_config("vm"))
            .filter(Filter::from_fn("b", init).vm_config("vm").vm_id(second))
            .start()
            .unwrap();
        let lines = host.logs().into_iter();
        let on_worker = lines.filter(|line| line.thread == Thread::Worker(0));
        on_worker.map(|line| line.message).collect::<Vec<_>>()
    };
    assert_eq!(roots(""), ["vm 1", "vm 2"]);
    assert_eq!(roots("other"), ["vm 1", "vm 1"]);
}

#[test]
fn root_contexts_are_told_that_the_host_ends() {
    let data = SharedData::new();
    let host = Host::builder()
        .shared_data(data.clone())
        .filter(scripted("a", "root_done write ended yes"))
        .filter(scripted("b", "root_done write ended yes\nroot_done pause"))
        .workers(2)
        .start()
        .unwrap();
    assert_eq!(data.operations().writes, 0);
    drop(host);
    // On each worker and on the main thread; not on the VMs for trying out.
    assert_eq!(data.operations().writes, 6);
    assert_eq!(data.read("a", "ended").as_deref(), Some(&b"yes"[..]));
}

/// Takes until its next tick to end.
struct Lingering;

impl Context for Lingering {
    fn on_done(&mut self) -> bool {
        self.set_tick_period(Duration::from_secs(1));
        false
    }
}

impl RootContext for Lingering {
    fn on_tick(&mut self) {
        self.set_tick_period(Duration::ZERO);
        self.done();
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        hostcalls::log(LogLevel::Info, "gone").unwrap();
    }
}

#[test]
fn a_root_context_may_take_its_time_to_end() {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Lingering));
    let host = Host::builder()
        .filter(Filter::from_fn("lingering", init))
        .start()
        .unwrap();
    host.update(vec![scripted("a", "")]).unwrap();
    let tried_out = 1;
    assert_eq!(count(&host, "gone"), tried_out);
    host.advance(Duration::from_secs(1));
    assert_eq!(count(&host, "gone"), tried_out + 2);
}

#[test]
fn an_update_is_for_new_streams() {
    let slow = |_: &Request| Answer::from(Response::new(200)).after(Duration::from_secs(1));
    let host = Host::builder()
        .upstream(slow)
        .filter(scripted("a", "response_headers set response x-version 1"))
        .filter(scripted("b", ""))
        .start()
        .unwrap();
    let version = |outcome: &proxy_wasm_native_host::Outcome| {
        let headers = outcome.response().headers();
        headers.get("x-version").map(str::to_owned)
    };
    let old = host.open(Request::get("/"));
    host.update(vec![
        scripted("a", "response_headers set response x-version 2"),
        scripted("b", ""),
    ])
    .unwrap();
    let new = host.open(Request::get("/"));
    assert_eq!(
        count(&host, "a root_done"),
        1,
        "on the main thread, which has no streams"
    );
    host.advance(Duration::from_secs(1));
    assert_eq!(version(&old.outcome()).as_deref(), Some("1"));
    assert_eq!(version(&new.outcome()).as_deref(), Some("2"));
    assert_eq!(count(&host, "a root_done"), 2, "and now on the worker");
    // The filter that did not change was neither configured again nor ended.
    assert_eq!(count(&host, "b configure"), 3);
    assert_eq!(count(&host, "b root_done"), 0);
}

#[test]
fn a_refused_update_changes_nothing() {
    let host = Host::builder()
        .filter(scripted("a", "response_headers set response x-version 1"))
        .start()
        .unwrap();
    let error = host.update(vec![
        scripted("a", "response_headers set response x-version 2"),
        scripted("b", "configure pause"),
    ]);
    assert_eq!(error.unwrap_err().filter, "b");
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.response().headers().get("x-version"), Some("1"));
    assert_eq!(
        count(&host, "a root_done"),
        1,
        "of the one that was not to be"
    );
}

#[test]
fn hosts_do_not_meet() {
    let host = |name: &str| {
        let filter =
            Filter::from_fn(name, probe::init).config(format!("{name}\nconfigure write k v"));
        Host::builder().filter(filter).start().unwrap()
    };
    let (first, second) = (host("first"), host("second"));
    first.shared_data().write("", "k", b"changed");
    assert_eq!(
        second.shared_data().read("", "k").as_deref(),
        Some(&b"v"[..])
    );
    assert!(said(&second).iter().all(|line| line.starts_with("second")));
}
