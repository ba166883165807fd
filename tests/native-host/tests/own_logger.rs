//! Filters that install a logger of their own. A test binary of its own, because the logger belongs to
//! the process.
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};
use proxy_wasm_native_host::{Filter, Host, Request};

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
        Action::Continue
    }
}

/// Goes on where there is a logger already, as natively there is after the first VM.
fn init() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
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
