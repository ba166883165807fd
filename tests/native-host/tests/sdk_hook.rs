//! The SDK replaces the panic hook on the first `set_log_level`. A test binary of its own, because
//! the hook belongs to the process.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    reason = "a test reports by panicking; the probe calls the ABI with pointers to what it owns"
)]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use proxy_wasm_native_host::{Filter, Host, LogLevel as Level, Request};

struct Fragile;

impl Context for Fragile {}

impl RootContext for Fragile {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Fragile {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        // The SDK's getter takes every header for UTF-8.
        self.get_http_request_header("x-name");
        Action::Continue
    }
}

#[test]
fn a_crash_is_one_under_the_sdk_s_hook_too() {
    let init = || {
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(Fragile));
    };
    let host = || {
        Host::builder()
            .filter(Filter::from_fn("fragile", init))
            .start()
            .unwrap()
    };
    // Many VMs initialise the SDK at once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(host);
        }
    });
    let host = host();
    let request = || Request::get("/").header("x-name", b"caf\xe9");
    assert_eq!(host.send(request()).status(), 503);
    let line = host.logs().pop().unwrap();
    assert_eq!(line.level, Level::Critical);
    assert!(line.message.contains("Utf8Error"), "{line}");
    assert!(host.expect_crash().message.contains("Utf8Error"));

    // The test's own panics are not touched, and whoever changes the hook is not kept waiting.
    let panic = std::panic::catch_unwind(|| panic!("of the test"));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"of the test"));
    drop(std::panic::take_hook());
}
