//! The only code of Portcullis that calls Envoy.
//!
//! A plugin implements [`Plugin`] and sees each request and response as an [`Exchange`]. [`module!`] turns a plugin,
//! or a [`Pair`] of plugins, into a WebAssembly module for Envoy.
//!
//! # A request's way, from Envoy to the policy and back
//!
//! 1. **Load.** Envoy loads the module in each worker, and [`start`] registers the root context (`root.rs`) with the
//!    SDK. When Envoy configures it, the root context reads the JSON, compiles it into a policy, wraps the policy in
//!    an [`Instance`], and creates the plugin with [`Plugin::new`]. There the plugin defines its [`Metrics`] and opens
//!    its [`Tables`]. The result is a [`Chain`]: one plugin or several (`chain/`).
//! 2. **Request headers.** Envoy creates a context for each stream (`http_stream.rs`) and calls it. The context makes
//!    an [`Exchange`] and passes it to the runner (`runner.rs`), which calls [`Plugin::on_request`].
//! 3. **The plugin** fetches the [`RequestAttributes`] and headers that its policy needs, and reads the
//!    [`SteadyClock`]. The first access to the headers reads all of them from Envoy, in one call
//!    (`header_codec.rs`).
//! 4. **The policy** decides. It never calls the host. To change the state of a key it updates a block through
//!    [`TablesAt`], which is a [`Store`](portcullis_table::Store): a bounded compare-and-swap loop on Envoy's shared
//!    data (`tables.rs`, `shared_data.rs`).
//! 5. **The plugin** counts the decision, records header changes in the exchange, and returns a [`Flow`].
//! 6. **The runner** carries out the changes, one host call for each (`exchange.rs`). The context then returns
//!    `Continue` to Envoy, or sends the [`Reply`](portcullis_core::reply::Reply) and pauses, or puts the request into
//!    the queue of waiting requests (`wait_queue.rs`).
//! 7. **Response, trailers and log** pass the same way, through [`Plugin::on_response`], [`Plugin::on_trailers`] and
//!    [`Plugin::on_log`]. The state of the stream, [`Plugin::Stream`], connects them.
//!
//! A plugin that fetches documents also acts outside of streams, with a [`Worker`]: the root context passes on Envoy's
//! timer and the responses to calls, and then judges the requests that the plugin has [woken](Worker::wake), a slice
//! in each callback.
//!
//! # Where to look
//!
//! | file | content |
//! |---|---|
//! | `plugin.rs`, `instance.rs`, `exchange.rs`, `phase.rs`, `property.rs`, `request_attributes.rs`, `worker.rs`, `error.rs` | the interface of plugins, without WebAssembly in its signatures |
//! | `chain/` | several plugins as one |
//! | `metrics.rs`, `metric_names.rs`, `tables.rs`, `clock.rs`, `random.rs`, `signature.rs` | services of the host: statistics, shared state, time, randomness, signatures |
//! | `shared_data.rs`, `cas_predictor.rs`, `block_cache.rs` | compare-and-swap on Envoy's shared data, exact and with few calls |
//! | `root.rs`, `http_stream.rs`, `runner.rs`, `wait_queue.rs`, `timer.rs`, `callback_monitor.rs` | from Envoy's callbacks to the chain |
//! | `abi/`, `header_codec.rs`, `logger.rs`, `warnings.rs` | from the plugin to Envoy: host calls and log |
//!
//! # Nothing passes because of an error
//!
//! Envoy may refuse any call: `capability_restriction_config` can forbid calls, and other hosts lack some. Each refusal
//! reaches the plugin as an [`Error`] with the name of the call, and [`Plugin::on_error`] decides how the exchange
//! goes on. The same happens when Envoy refuses a change that the plugin made. If `on_error` returns no reply, the
//! plugin has chosen to let the exchange pass, and has counted it. A module that Envoy never configured answers with
//! 503. If Envoy does not accept a reply, the message is held.
//!
//! # No panic, ever
//!
//! A panic kills the VM, and by default every later request on that worker gets 503. The SDK's own host calls panic on
//! every unexpected status, and on every header value that is not UTF-8. This crate therefore uses the SDK only in the
//! direction from Envoy to the plugin (contexts and their dispatch). In the other direction it makes the calls itself,
//! in `abi/`, where each status is a value.

pub mod backend;
mod callback_monitor;
mod chain;
mod clock;
mod error;
mod exchange;
mod instance;
mod metric_names;
mod metrics;
mod own_reply;
mod phase;
mod plugin;
mod property;
mod random;
mod request_attributes;
mod runner;
mod shared_value;
mod signature;
mod status;
mod stream;
mod tables;
mod wait_queue;
mod warnings;
mod worker;

pub use callback_monitor::CallbackMonitor;
pub use chain::{Chain, Pair, PairStream, Summary};
pub use clock::{SteadyClock, wall_clock};
pub use error::{Callback, Error, Failure};
pub use exchange::{Exchange, HandedOver};
pub use instance::Instance;
pub use metric_names::MetricNames;
pub use metrics::{Counter, CountersBy, Gauge, Metrics, TableMetrics};
pub use phase::Phase;
pub use plugin::{Flow, Plugin};
pub use property::Property;
pub use random::random;
pub use request_attributes::RequestAttributes;
pub use runner::{Acted, Runner, TICK_WHILE_WAITING, TICK_WHILE_WOKEN};
pub use shared_value::SharedValue;
pub use signature::SignatureVerifier;
pub use status::Status;
pub use stream::{HttpStream, Next};
pub use tables::{TableSpec, Tables, TablesAt};
pub use warnings::warn_once;
pub use worker::{Call, CallId, CallResponse, Worker};
