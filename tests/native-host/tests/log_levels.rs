//! Filters of one process with different log levels. A test binary of its own, because the crate `log`
//! belongs to the process.
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use proxy_wasm_native_host::{Filter, Host, LogLevel as Level, Request};

/// Logs a line of each level; sets its level in `main!` or when it is configured.
struct Chatty;

impl Context for Chatty {}

impl RootContext for Chatty {
    fn on_configure(&mut self, _: usize) -> bool {
        if let Some(level) = self.get_plugin_configuration() {
            proxy_wasm::set_log_level(match level.as_slice() {
                b"error" => LogLevel::Error,
                b"trace" => LogLevel::Trace,
                _ => LogLevel::Warn,
            });
        }
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Chatty {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        log::trace!("trace");
        log::debug!("debug");
        log::info!("info");
        log::warn!("warn");
        log::error!("error");
        Action::Continue
    }
}

fn chatty(level: LogLevel) -> Filter {
    Filter::from_fn("chatty", move || {
        proxy_wasm::set_log_level(level);
        proxy_wasm::set_root_context(|_| Box::new(Chatty));
    })
}

fn host(filter: Filter) -> Host {
    let host = Host::builder().log_level(Level::Trace);
    host.filter(filter).start().unwrap()
}

fn lines(host: &Host) -> Vec<String> {
    let logs = host.send(Request::get("/")).logs();
    logs.into_iter().map(|line| line.message).collect()
}

#[test]
fn each_filter_keeps_the_level_that_it_set() {
    let levels = [
        (LogLevel::Trace, 5),
        (LogLevel::Error, 1),
        (LogLevel::Debug, 4),
        (LogLevel::Info, 3),
    ];
    let hosts = levels.map(|(level, count)| (host(chatty(level)), count));
    // All of them at once, each many times.
    std::thread::scope(|scope| {
        for (host, count) in &hosts {
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(lines(host).len(), *count);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                assert_eq!(lines(&host(chatty(LogLevel::Warn))), ["warn", "error"]);
            }
        });
    });
}

#[test]
fn a_level_may_be_set_by_the_configuration() {
    let configured = |level: &str| host(chatty(LogLevel::Info).config(level));
    let (error, warn) = (configured("error"), configured("warn"));
    assert_eq!(lines(&error), ["error"]);
    assert_eq!(lines(&warn), ["warn", "error"]);
    assert_eq!(lines(&error), ["error"]);
    assert_eq!(
        lines(&configured("trace")).len(),
        5,
        "it may be raised, too"
    );
}

#[test]
fn the_host_s_level_is_another() {
    let host = Host::builder()
        .log_level(Level::Error)
        .filter(chatty(LogLevel::Trace))
        .start()
        .unwrap();
    assert_eq!(lines(&host), ["error"]);
}
