//! Filters that install loggers and panic hooks of their own. A test binary of its own, because both
//! belong to the process.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};
use proxy_wasm_native_host::{Filter, Host, LogLevel as Level, Request};

/// Marks every line.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("own: {}", record.args());
        hostcalls::log(LogLevel::Info, &line).unwrap();
    }

    fn flush(&self) {}
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        log::info!("a request");
        assert!(self.get_http_request_header("x-bad").is_none(), "it is bad");
        Action::Continue
    }
}

/// Goes on where there is a logger already, as natively there is after the first VM.
fn init() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    std::panic::set_hook(Box::new(|info| {
        let _ = hostcalls::log(LogLevel::Critical, &format!("own hook: {info}"));
    }));
    proxy_wasm::set_http_context(|_, _| Box::new(Stream));
}

fn host(init: fn()) -> Host {
    let filter = Filter::from_fn("own", init);
    Host::builder().workers(2).filter(filter).start().unwrap()
}

#[test]
fn a_filter_may_have_its_own_logger() {
    for _ in 0..3 {
        let outcome = host(init).send(Request::get("/"));
        let lines: Vec<_> = outcome
            .logs()
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(lines, ["own: a request"]);
    }
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_filter_s_panic_hook_is_its_own() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        previous(info);
    }));
    let host = host(init);
    host.send(Request::get("/").header("x-bad", "1"));
    let crash = host.expect_crash();
    assert!(crash.message.contains("it is bad"), "{crash}");
    let hooked = host.logs().pop().unwrap();
    assert_eq!(hooked.level, Level::Critical);
    assert!(
        hooked.message.starts_with("own hook: panicked at"),
        "{hooked}"
    );
    assert_eq!(PANICS.get(), 0, "that of the filter is not the test's");
    let panic = std::panic::catch_unwind(|| panic!("of the test"));
    assert!(panic.is_err());
    assert_eq!(PANICS.get(), 1, "and the test's is not the filter's");
    assert_eq!(host.logs().len(), 2, "{:?}", host.logs());
}

#[test]
fn a_filter_that_insists_on_its_logger_is_told_why_it_cannot() {
    drop(host(init));
    let insisting = || log::set_logger(&Logger).unwrap();
    let error = Host::builder()
        .filter(Filter::from_fn("own", insisting))
        .start();
    let reason = error.unwrap_err().reason;
    assert!(reason.contains("one logger in the process"), "{reason}");
}
