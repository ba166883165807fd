//! A stand-in for Envoy below the unmodified proxy-wasm SDK for Rust: HTTP filters run in
//! `cargo test`, natively, as they are.
//!
//! The crate defines the `proxy_*` functions that the SDK imports and calls those that it exports,
//! so a filter notices no difference, as long as Envoy is what it expects: the order of callbacks,
//! what can be read in which phase, what a local reply passes through, and the status of every call
//! are those of Envoy 1.40, and were recorded there. Where they are not, [`gaps`] says so.
//!
//! ```
//! use std::time::Duration;
//!
//! use proxy_wasm::hostcalls;
//! use proxy_wasm::traits::{Context, HttpContext, RootContext};
//! use proxy_wasm::types::{Action, ContextType, MetricType};
//! use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response, ResponseFlags};
//!
//! // A filter: it refuses requests without a key, and counts them.
//! struct Root { refused: u32 }
//! struct Stream { refused: u32 }
//!
//! impl Context for Root {}
//! impl RootContext for Root {
//!     fn on_configure(&mut self, _: usize) -> bool {
//!         self.refused = hostcalls::define_metric(MetricType::Counter, "refused").unwrap();
//!         self.get_plugin_configuration() == Some(b"a key is needed".to_vec())
//!     }
//!     fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
//!         Some(Box::new(Stream { refused: self.refused }))
//!     }
//!     fn get_type(&self) -> Option<ContextType> {
//!         Some(ContextType::HttpContext)
//!     }
//! }
//!
//! impl Context for Stream {}
//! impl HttpContext for Stream {
//!     fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
//!         if self.get_http_request_header("x-key").is_some() {
//!             return Action::Continue;
//!         }
//!         hostcalls::increment_metric(self.refused, 1).unwrap();
//!         self.send_http_response(401, vec![("www-authenticate", "Key")], Some(b"no key"));
//!         Action::Pause
//!     }
//! }
//!
//! // What the module does in `proxy_wasm::main!`.
//! fn init() {
//!     proxy_wasm::set_root_context(|_| Box::new(Root { refused: 0 }));
//! }
//!
//! // A host with that filter, two workers, and an upstream.
//! let host = Host::builder()
//!     .filter(Filter::from_fn("key", init).config("a key is needed"))
//!     .workers(2)
//!     .upstream(|request: &Request| match request.path() {
//!         "/down" => Answer::connect_failure(),
//!         "/slow" => Answer::from(Response::new(200)).after(Duration::from_secs(3)),
//!         _ => Response::new(200).header("x-app", "shop").body("hello").into(),
//!     })
//!     .start()?;
//!
//! // The filter answers: the upstream sees nothing.
//! let outcome = host.send(Request::get("/"));
//! assert_eq!(outcome.status(), 401);
//! assert_eq!(outcome.response().body_text(), "no key");
//! assert!(outcome.upstream_request().is_none());
//! assert_eq!(host.counter("refused"), 1);
//!
//! // It lets pass, on the other worker.
//! let outcome = host.worker(1).send(Request::get("/").header("x-key", "k"));
//! assert_eq!(outcome.response().headers().get("x-app"), Some("shop"));
//!
//! // The upstream fails, as the access log would tell it.
//! let outcome = host.send(Request::get("/down").header("x-key", "k"));
//! assert_eq!((outcome.status(), outcome.flags()), (503, ResponseFlags::UF));
//!
//! // Time passes when the test says so.
//! let mut stream = host.open(Request::get("/slow").header("x-key", "k"));
//! assert!(!stream.is_over());
//! host.advance(Duration::from_secs(3));
//! assert_eq!(stream.outcome().status(), 200);
//! # Ok::<(), proxy_wasm_native_host::StartError>(())
//! ```
//!
//! # How it works
//!
//! The SDK keeps its contexts in thread-local variables, so each VM is a thread. A [`Host`] has a
//! main thread, which only configures plugins and runs their timers, and workers; each has a VM of
//! its own per module, as in Envoy. A worker runs on the thread of the test that calls it, and waits
//! for its VMs: within a worker everything is sequential, while workers called from several threads
//! (see [`Host::race`]) meet in shared data and metrics as Envoy's do.
//!
//! Hosts do not meet, and tests run in parallel. Time is virtual and stands still unless a test
//! [advances](Host::advance) it; guests see it through the ABI, through WASI's `clock_time_get`, and
//! through `std::time`. Randomness can be [repeated](HostBuilder::seed), that of `std` and `getrandom`
//! too.
//!
//! A panic of a filter is a crash of its VM: see [`FailurePolicy`]. It fails the test unless the test
//! [expects](Host::expect_crash) it, and so does a call of something that Envoy has and this host has
//! not. A panic in a closure of the test (an upstream, a foreign function) fails the test as well.
//!
//! # Features
//!
//! - `verify-signature`: Envoy's foreign function of that name. Off by default, because of the
//!   cryptography that it brings along.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test tool reports by panicking"
)]

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!(
    "proxy-wasm-native-host runs on 64-bit Linux with glibc only: it stops a filter's panic in the \
     unwinder, which must be a shared library, and it has not been tried on macOS or Windows. It is a \
     tool for tests: name it under [dev-dependencies], which are not compiled for WebAssembly"
);

#[cfg(target_feature = "crt-static")]
compile_error!(
    "proxy-wasm-native-host does not work with `+crt-static`: it stops a filter's panic in the \
     unwinder, which must be a shared library"
);

mod abi;
mod backtrace;
mod builder;
mod calls;
mod client;
mod clock;
mod failures;
mod filter;
mod flags;
mod foreign;
mod grpc;
mod headers;
mod host;
mod hostcalls;
mod inspect;
mod local_reply;
mod logs;
mod message;
mod metrics;
mod outcome;
mod properties;
mod random;
mod shared;
mod shared_data;
mod shared_queue;
mod state;
mod status;
mod stream;
mod sync;
mod threads;
mod upstream;
mod vm;
mod worker;

#[doc = include_str!("../GAPS.md")]
pub mod gaps {}

pub use self::builder::HostBuilder;
pub use self::calls::PendingCall;
pub use self::client::{ClientStream, Held};
pub use self::failures::Crash;
pub use self::filter::{FailurePolicy, Filter};
pub use self::flags::ResponseFlags;
pub use self::grpc::service::{GrpcReply, GrpcRequest, GrpcStage};
pub use self::headers::Headers;
pub use self::host::{Host, StartError, WorkerHandle};
pub use self::logs::{LogLevel, LogLine, Thread};
pub use self::message::{Protocol, Request, Response};
pub use self::metrics::MetricKind;
pub use self::outcome::{Action, Callback, Outcome};
pub use self::properties::PropertyValue;
pub use self::shared_data::{SharedData, SharedDataOperations, WriteAttempt};
pub use self::status::Status;
pub use self::upstream::{Answer, Route};

// The SDK's exports, which a filter brings along everywhere but in the unit tests.
#[cfg(test)]
use proxy_wasm as _;
