//! The only code of Portcullis that knows Envoy.
//!
//! A plugin implements [`Plugin`] and sees each request and response as an [`Exchange`]: headers
//! as bytes, read once and only if asked for; changes that are carried out at the end; properties,
//! metrics and randomness. [`module!`] turns a plugin, or a [`Pair`] of plugins, into a WebAssembly
//! module for Envoy.
//!
//! # Nothing passes because of an error
//!
//! Envoy may refuse any call: `capability_restriction_config` leaves calls out, and other hosts lack some.
//! Each refusal reaches the plugin as an [`Error`] with the call's name, and [`Plugin::on_error`] decides
//! what becomes of the exchange; so it does when Envoy refuses a change that was made. What the plugin
//! does not answer with a reply, it has chosen to let pass, and has counted. Where there is no plugin,
//! because Envoy never had it configured, the answer is 503; where Envoy takes no answer, the message is
//! held.
//!
//! # No panic, ever
//!
//! A panic kills the VM, and by default every later request on that worker gets 503. The SDK's own
//! host calls panic on every status that they do not expect and on every header value that is not
//! UTF-8. This crate therefore uses the SDK for what happens from Envoy to the plugin (contexts and
//! their dispatch) and makes the calls from the plugin to Envoy itself, in [`abi`], where each
//! status is a value.

pub mod abi;
mod block_cache;
mod cas_predictor;
mod chain;
mod clock;
mod exchange;
mod header_codec;
mod instance;
mod liveness;
mod logger;
mod metrics;
mod plugin;
mod random;
mod request_attributes;
mod roster;
mod shared_data;
mod shell;
mod signature;
mod stream;
mod tables;
mod throttle;
mod waiting;
mod worker;

pub use chain::{Chain, Pair, PairStream, Summary};
pub use clock::{SteadyClock, wall_clock};
pub use exchange::{Error, Exchange, Failure, Phase, Property};
pub use instance::Instance;
pub use metrics::{Counter, CountersBy, Gauge, Metrics, TableMetrics};
pub use plugin::{Flow, Plugin};
pub use random::random;
pub use request_attributes::RequestAttributes;
pub use roster::Roster;
pub use shared_data::SharedValue;
pub use shell::start;
pub use signature::EnvoySignatures;
pub use tables::{TableSpec, Tables, TablesAt};
pub use worker::{Call, CallId, CallResponse, Worker};

#[doc(hidden)]
pub use proxy_wasm;

// Unit tests link against it: without a host there is nobody to call.
#[cfg(test)]
use proxy_wasm_native_host as _;

/// Makes the crate it stands in a module for Envoy that runs the given [`Plugin`].
///
/// ```ignore
/// portcullis_host::module!(security_headers::SecurityHeaders);
/// ```
///
/// A crate like this holds nothing else and is a `cdylib`; the plugin stands in a library of its
/// own, so that several can be linked into one native test program.
#[macro_export]
macro_rules! module {
    ($plugin:ty) => {
        $crate::proxy_wasm::main! {{ $crate::start::<$plugin>(); }}
    };
}
