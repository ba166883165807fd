//! The back end of WebAssembly modules.
//!
//! [`module!`] turns a plugin, or a [`Pair`](portcullis_host::Pair) of plugins, into a module for Envoy.
//!
//! # A request's way, from Envoy to the policy and back
//!
//! 1. **Load.** Envoy loads the module in each worker, and [`start`] registers the root context (`root.rs`) with the
//!    SDK. When Envoy configures it, the root context reads the JSON and creates the chain of plugins.
//! 2. **Request headers.** Envoy creates a context for each stream (`context.rs`) and calls it. The context passes the
//!    call on to an [`HttpStream`](portcullis_host::HttpStream), which calls the plugins.
//! 3. **Reading.** The first access to the headers reads all of them from Envoy, in one call (`header_codec.rs`).
//! 4. **State.** To change the state of a key, a policy updates a block of a table: a bounded compare-and-swap loop on
//!    Envoy's shared data (`tables.rs`, `shared_data.rs`).
//! 5. **Writing.** When the last plugin has returned, the stream carries out the changes, one host call for each
//!    (`host.rs`). The context then returns `Continue` to Envoy, or `Pause` after a reply or while the request waits.
//! 6. **Response, trailers and log** pass the same way.
//!
//! The root context also passes on Envoy's timer and the responses to calls, and makes the calls of streams (`calls.rs`).
//!
//! # Where to look
//!
//! | file | content |
//! |---|---|
//! | `root.rs`, `context.rs`, `timer.rs` | from Envoy's callbacks to the plugins |
//! | `host.rs`, `calls.rs`, `signature.rs`, `logger.rs` | from the plugins to Envoy |
//! | `tables.rs`, `shared_data.rs`, `cas_predictor.rs`, `block_cache.rs` | compare-and-swap on Envoy's shared data, exact and with few calls |
//! | `abi/`, `header_codec.rs` | the ABI |
//!
//! # Nothing passes because of an error
//!
//! Envoy may refuse any call: `capability_restriction_config` can forbid calls, and other hosts lack some. Each refusal
//! reaches the plugin as an [`Error`](portcullis_host::Error) with the name of the call, and the plugin decides how the
//! exchange goes on. A module that Envoy never configured answers with 503.
//!
//! # No panic, ever
//!
//! A panic kills the VM, and by default every later request on that worker gets 503. The SDK's own host calls panic on
//! every unexpected status, and on every header value that is not UTF-8. This crate therefore uses the SDK only in the
//! direction from Envoy to the plugin (contexts and their dispatch). In the other direction it makes the calls itself,
//! in `abi/`, where each status is a value. The exception is `calls.rs`.

mod abi;
mod block_cache;
mod calls;
mod cas_predictor;
mod context;
mod header_codec;
mod host;
mod logger;
mod root;
mod shared_data;
mod signature;
mod tables;
mod timer;

pub use root::start;

#[doc(hidden)]
pub use proxy_wasm;

// The native host defines the host calls, without which unit tests do not link.
#[cfg(test)]
use proxy_wasm_native_host as _;

/// Makes the crate that contains it a module for Envoy, which runs the given [`Chain`](portcullis_host::Chain).
///
/// ```ignore
/// portcullis_proxy_wasm::module!(security_headers::SecurityHeaders);
/// ```
///
/// Such a crate contains nothing else and is a `cdylib`. The plugin is in a library of its own, so that one native
/// test program can link several plugins.
#[macro_export]
macro_rules! module {
    ($chain:ty) => {
        $crate::proxy_wasm::main! {{ $crate::start::<$chain>(); }}
    };
}
