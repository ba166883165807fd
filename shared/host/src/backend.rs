//! The interface between this crate and its back ends.
//!
//! A back end is the only code that calls Envoy. There are two: `portcullis-proxy-wasm`, for WebAssembly modules, and
//! `portcullis-dynamic-module`, for the native library. Each program has one of them and [installs](install) it before
//! Envoy configures the first plugin.
//!
//! The back end receives Envoy's callbacks. For each configuration it creates a [`Runner`](crate::Runner), for each
//! stream an [`HttpStream`](crate::HttpStream), and passes the callbacks on. These two call the plugins, and act on
//! Envoy through the traits of this file.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use portcullis_core::headers::Received;
use portcullis_core::reply::Reply;
use portcullis_core::short_text::ShortText;
use portcullis_core::signature::Hash;
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, Seed};

use crate::call::{Call, CallId};
use crate::error::Error;
pub use crate::own_reply::is_grpc;
use crate::property::Property;
use crate::status::Status;

/// The services of a process.
///
/// A back end may lack a service, and Envoy may refuse one: then the call is an error.
pub trait Backend: Sync {
    /// The time on a clock that never goes back. All workers read the same clock.
    fn monotonic_time(&self) -> Result<Nanos, Error> {
        Err(missing("monotonic_time"))
    }

    /// The time since the Unix epoch, on a clock that can be set.
    fn wall_time(&self) -> Result<Nanos, Error> {
        Err(missing("wall_time"))
    }

    /// The nanoseconds from the monotonic clock to the [`SteadyClock`](crate::SteadyClock), the same in all workers.
    fn steady_offset(&self) -> Result<u64, Error> {
        Err(missing("steady_offset"))
    }

    /// Fills `buffer` with unpredictable bytes.
    fn random(&self, _buffer: &mut [u8]) -> Result<(), Error> {
        Err(missing("random"))
    }

    /// The unpredictable seed for the keys of tables, the same in all workers.
    fn hash_seed(&self) -> Result<[u8; 16], Error> {
        Err(missing("hash_seed"))
    }

    /// Defines a metric, or finds the one of this name.
    fn define_metric(&self, _kind: MetricKind, _name: &str) -> Result<MetricId, Error> {
        Err(missing("define_metric"))
    }

    /// Adds to a metric. Only a gauge can decrease.
    fn add_to_metric(&self, _id: MetricId, _difference: i64) -> Result<(), Error> {
        Err(missing("add_to_metric"))
    }

    /// Sets a gauge.
    fn set_metric(&self, _id: MetricId, _value: u64) -> Result<(), Error> {
        Err(missing("set_metric"))
    }

    /// Opens tables. The names are those of the plugin and the instance; each table has an identity.
    fn open_tables(
        &self,
        _plugin: &str,
        _instance: &str,
        _identities: &[u64],
        _seed: &Seed,
    ) -> Box<dyn TableStore> {
        Box::new(Nothing)
    }

    /// Opens a value that all workers share, and creates it if it is absent.
    fn open_value(&self, _key: &str) -> Box<dyn ValueStore> {
        Box::new(Nothing)
    }

    /// Whether a signature is valid; `None` if the back end cannot verify it. See
    /// [`HostSignatures`](portcullis_core::signature::HostSignatures).
    fn verify_signature(
        &self,
        _hash: Hash,
        _key: &[u8],
        _text: &[u8],
        _signature: &[u8],
    ) -> Option<bool> {
        None
    }

    /// Whether [`call`](Self::call) works in this thread. If not, another thread makes the calls.
    fn makes_calls(&self) -> bool {
        true
    }

    /// Asks the thread that makes calls to do something about a topic, in its next tick, which follows at once.
    fn ask_caller(&self, _topic: u64) {}

    /// Whether another thread has [asked](Self::ask_caller) since the last call with this topic.
    fn take_asked(&self, _topic: u64) -> bool {
        false
    }

    /// Sends a request to another service, outside of streams. The response arrives through
    /// [`Runner::call_response`](crate::Runner::call_response), with the memo of the call.
    fn call(&self, _call: &Call<'_>) -> Result<CallId, Error> {
        Err(missing("call"))
    }
}

/// One stream in Envoy.
pub trait StreamHost {
    /// Reads a whole header map into memory that may have been used before.
    fn headers(&self, map: Map, into: &mut Received) -> Result<(), Error>;

    /// Replaces all lines of a header by this one.
    fn set_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error>;

    /// Adds a line to a header.
    fn add_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error>;

    /// Removes all lines of a header.
    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Error>;

    /// All changes of this map have been carried out.
    fn headers_changed(&self, _map: Map) {}

    /// A property that is text; `None` when it has no value.
    fn text(&self, property: Property) -> Result<Option<ShortText>, Error>;

    /// A property that is a number; `None` when it has no value.
    fn number(&self, property: Property) -> Result<Option<u64>, Error>;

    /// A number in the dynamic metadata of the request; `None` when there is no number.
    fn metadata(&self, namespace: &str, key: &str) -> Result<Option<f64>, Error>;

    /// Stores a value in the filter state of the request.
    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Error>;

    /// Sends a reply in place of the request or the response. Envoy may end the stream during this call, with
    /// callbacks about its end.
    fn reply(&self, reply: &Reply) -> Result<(), Error>;

    /// Whether Envoy shows the reply to a request to the filter that sent it, in the response phase.
    fn shows_own_replies(&self) -> bool {
        true
    }

    /// Sends a request to another service. The response arrives through
    /// [`Runner::call_response`](crate::Runner::call_response), with the memo of the call, whether or not the stream
    /// still exists: in this worker, or in the one that makes the calls of all.
    fn call(&self, call: &Call<'_>) -> Result<CallId, Error>;

    /// The request begins to wait; `is_first` if no other one waits in this worker. The next tick is due after `tick` at
    /// the latest.
    fn begin_wait(&self, is_first: bool, tick: Duration);

    /// The request no longer waits.
    fn end_wait(&self) {}

    /// Makes the following calls act on this stream, outside of its own callbacks.
    fn enter(&self) -> Result<(), Error>;

    /// Resumes the request. Envoy may call back about this stream during this call.
    fn resume(&self) -> Result<(), Error>;
}

/// The tables of one plugin instance.
pub trait TableStore {
    /// Changes a block atomically, at `now` on the steady clock. `edit` gets its bytes, which are empty if nothing
    /// was stored yet, and returns whether it changed them; only its last call counts. Returns how often another
    /// worker wrote first.
    fn update(
        &self,
        table: usize,
        block: u32,
        now: Nanos,
        edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u32, GaveUp>;
}

/// A value that all workers share.
pub trait ValueStore {
    /// Reads the value.
    fn read(&self) -> Result<Vec<u8>, GaveUp>;

    /// Changes the value atomically, as [`TableStore::update`] does.
    fn update(&self, edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) -> Result<(), GaveUp>;
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that can also decrease.
    Gauge,
}

/// A metric, as the back end identifies it.
pub type MetricId = u32;

/// The header maps of a stream that a plugin can read and change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// Headers of the request; readable only in the request phase.
    Request,
    /// Headers of the response.
    Response,
    /// Trailers of the response.
    ResponseTrailers,
}

static INSTALLED: OnceLock<&'static dyn Backend> = OnceLock::new();

/// Makes this the back end of the program. Only the first call has an effect.
pub fn install(backend: &'static dyn Backend) {
    let _ = INSTALLED.set(backend);
}

/// The back end of the program. Without one, every call fails.
pub(crate) fn backend() -> &'static dyn Backend {
    match INSTALLED.get() {
        Some(backend) => *backend,
        None => &Nothing,
    }
}

/// The back end of a program without one.
struct Nothing;

impl Backend for Nothing {}

impl TableStore for Nothing {
    fn update(
        &self,
        _table: usize,
        _block: u32,
        _now: Nanos,
        _edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u32, GaveUp> {
        Err(GaveUp)
    }
}

impl ValueStore for Nothing {
    fn read(&self) -> Result<Vec<u8>, GaveUp> {
        Err(GaveUp)
    }

    fn update(&self, _edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) -> Result<(), GaveUp> {
        Err(GaveUp)
    }
}

fn missing(call: &'static str) -> Error {
    Error::Host {
        call,
        status: Status::Unimplemented,
    }
}

impl fmt::Debug for dyn TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableStore")
    }
}

impl fmt::Debug for dyn ValueStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueStore")
    }
}
