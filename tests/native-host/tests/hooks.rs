//! Panic hooks: the test's, and those that filters install. A test binary of its own with one test,
//! because the hook belongs to the process.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use proxy_wasm_native_host::{Filter, Host, LogLevel as Level, Request};

/// Panics over every request. Has a hook of its own, from its initialisation or its configuration.
struct Fragile;

impl Context for Fragile {}

impl RootContext for Fragile {
    fn on_configure(&mut self, size: usize) -> bool {
        if size > 0 {
            set_hook();
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

impl HttpContext for Fragile {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        panic!("it is bad")
    }
}

fn set_hook() {
    std::panic::set_hook(Box::new(|info| {
        let _ = hostcalls::log(LogLevel::Critical, &format!("own hook: {info}"));
    }));
}

fn host(filter: Filter) -> Host {
    Host::builder().workers(2).filter(filter).start().unwrap()
}

thread_local! {
    /// Where the last panic of the test was, by the test's own hook.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn place_of_panic(code: impl FnOnce()) -> String {
    catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    PLACE.take().unwrap()
}

#[test]
fn hooks_see_the_panics_that_they_are_for() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PLACE.set(info.location().map(ToString::to_string));
        previous(info);
    }));
    let root = || proxy_wasm::set_root_context(|_| Box::new(Fragile));
    let plain = Filter::from_fn("plain", root);
    let hooked = Filter::from_fn("hooked", move || {
        set_hook();
        root();
    });
    for (filter, own) in [
        (plain.clone(), false),
        (hooked, true),
        (plain.clone().config("hook"), true),
        (plain, false),
    ] {
        let host = host(filter);
        assert_eq!(host.send(Request::get("/")).status(), 503);
        assert_eq!(PLACE.take(), None, "it is the filter's, not the test's");
        let line = host.logs().pop().unwrap();
        assert_eq!(line.level, Level::Critical);
        assert_eq!(
            line.message.starts_with("own hook: panicked at"),
            own,
            "{line}"
        );
        assert_eq!(host.logs().len(), 1, "{:?}", host.logs());

        // The failure of the test is where the test called.
        let here = |line: u32| format!("{}:{line}:", file!());
        let line = line!() + 1;
        let place = place_of_panic(|| host.advance(Duration::ZERO));
        assert!(place.starts_with(&here(line)), "{place}");
        let line = line!() + 1;
        let place = place_of_panic(|| drop(host.expect_crash()));
        assert!(place.starts_with(&here(line)), "{place}");
        let line = line!() + 1;
        let place = place_of_panic(|| assert_eq!(host.counter("none"), 0));
        assert!(place.starts_with(&here(line)), "{place}");
    }
}
