//! What plugins see of Envoy, and the way from Envoy's callbacks to them.
//!
//! A plugin implements [`Plugin`] and sees each request and response as an [`Exchange`]. Nothing in this crate calls
//! Envoy: a back end does, through the traits of [`backend`]. There are two, `portcullis-proxy-wasm` for WebAssembly
//! modules and `portcullis-dynamic-module` for the native library. Plugins do not know which of them they run on.
//!
//! # A request's way, from the back end to the policy and back
//!
//! 1. **Load.** The back end passes the configuration to [`configure`], which reads the JSON, compiles it into a
//!    policy, wraps the policy in an [`Instance`], and creates the plugin with [`Plugin::new`]. There the plugin defines
//!    its [`Metrics`] and opens its [`Tables`]. The result is a [`Chain`]: one plugin or several (`chain/`).
//! 2. **Request headers.** The back end creates an [`HttpStream`] for each stream and calls it. The stream makes an
//!    [`Exchange`] and passes it to the [`Runner`], which calls [`Plugin::on_request`].
//! 3. **The plugin** fetches the [`RequestAttributes`] and headers that its policy needs, and reads the
//!    [`SteadyClock`]. The first access to the headers reads all of them.
//! 4. **The policy** decides. It never calls the host. To change the state of a key it updates a block through
//!    [`TablesAt`], which is a [`Store`](portcullis_table::Store). The back end makes the update atomic.
//! 5. **The plugin** counts the decision, records header changes in the exchange, and returns a [`Flow`].
//! 6. **The runner** has the changes carried out (`exchange.rs`). The stream then lets the message pass, or sends the
//!    [`Reply`](portcullis_core::reply::Reply), or puts the request into the queue of waiting requests
//!    (`wait_queue.rs`), and returns to the back end [what Envoy does next](Next).
//! 7. **Response, trailers and log** pass the same way, through [`Plugin::on_response`], [`Plugin::on_trailers`] and
//!    [`Plugin::on_log`]. The state of the stream, [`Plugin::Stream`], connects them.
//!
//! A plugin that fetches documents also acts outside of streams, with a [`Worker`]: the back end passes on ticks and
//! the responses to calls, and the runner then judges the requests that the plugin has [woken](Worker::wake), a slice in
//! each callback.
//!
//! # Where to look
//!
//! | file | content |
//! |---|---|
//! | `plugin.rs`, `instance.rs`, `exchange.rs`, `phase.rs`, `property.rs`, `request_attributes.rs`, `handed_over.rs`, `worker.rs`, `call.rs`, `grpc.rs`, `error.rs` | the interface of plugins |
//! | `chain/` | several plugins as one |
//! | `metrics.rs`, `metric_names.rs`, `tables.rs`, `shared_value.rs`, `clock.rs`, `random.rs`, `signature.rs` | services for plugins: statistics, shared state, time, randomness, signatures |
//! | `stream.rs`, `known_properties.rs`, `runner.rs`, `wait_queue.rs`, `own_reply.rs`, `callback_monitor.rs`, `warnings.rs` | from a back end's callbacks to the chain |
//! | `backend.rs`, `status.rs` | the interface of back ends |
//!
//! # Nothing passes because of an error
//!
//! Envoy may refuse any call: `capability_restriction_config` can forbid calls, and other hosts lack some. Each refusal
//! reaches the plugin as an [`Error`] with the name of the call, and [`Plugin::on_error`] decides how the exchange
//! goes on. The same happens when Envoy refuses a change that the plugin made, and after a panic where the host survives
//! it. If `on_error` returns no reply, the plugin has chosen to let the exchange pass, and has counted it. If Envoy does
//! not accept a reply, the message is held.

pub mod backend;
mod call;
mod callback_monitor;
mod chain;
mod clock;
mod error;
mod exchange;
mod grpc;
mod handed_over;
mod instance;
mod known_properties;
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
mod spare_memory;
mod status;
mod stream;
mod tables;
mod wait_queue;
mod warnings;
mod worker;

pub use call::{Call, CallId, CallResponse, Memo, OwnedCall};
pub use callback_monitor::CallbackMonitor;
pub use chain::{Chain, Pair, PairStream, Summary};
pub use clock::{SteadyClock, wall_clock};
pub use error::{Callback, Error, Failure};
pub use exchange::Exchange;
pub use grpc::{GrpcCall, GrpcError};
pub use handed_over::HandedOver;
pub use instance::Instance;
pub use metric_names::MetricNames;
pub use metrics::{Counter, CountersBy, Gauge, Metrics, TableMetrics};
pub use phase::Phase;
pub use plugin::{Flow, Plugin};
pub use property::Property;
pub use random::{PredictableNumbers, random};
pub use request_attributes::RequestAttributes;
pub use runner::{Acted, Runner, TICK_WHILE_WAITING, TICK_WHILE_WOKEN, configure, log_summaries};
pub use shared_value::SharedValue;
pub use signature::SignatureVerifier;
pub use status::Status;
pub use stream::{HttpStream, Next};
pub use tables::{TableSpec, Tables, TablesAt};
pub use wait_queue::Waiter;
pub use warnings::warn_once;
pub use worker::{Woken, Worker};
