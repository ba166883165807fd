//! The host's side of one VM: its contexts, and what its guest asked for during a call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::LevelFilter;

use crate::filter::{Filter, VmSpec};
use crate::headers::Headers;
use crate::local_reply::LocalReply;
use crate::logs::Thread;
use crate::message::{Request, Response};
use crate::metrics::MetricIds;
use crate::shared_queue::Owner;
use crate::state::{Direction, StreamState};

/// Everything that the host calls of a VM's guest work on, besides what is shared between VMs.
#[derive(Debug)]
pub(crate) struct VmState {
    /// A number that no other VM of the host has.
    pub(crate) id: u64,
    pub(crate) thread: Thread,
    pub(crate) spec: VmSpec,
    contexts: BTreeMap<u32, Context>,
    last_context: u32,
    last_call: u32,
    last_grpc_call: u32,
    last_grpc_stream: u32,
    /// By token.
    pub(crate) grpc: BTreeMap<u32, OpenGrpc>,
    pub(crate) metrics: MetricIds,
    /// Root contexts that are not ready to end.
    pub(crate) ending: BTreeSet<u32>,
    /// The callback that is running, or ran last.
    pub(crate) callback: &'static str,
    /// The test itself makes the VM crash.
    pub(crate) deliberate: bool,
    /// The level that the guest has set for the crate `log`; off if it has set none.
    pub(crate) log_level: LevelFilter,
    /// The context that the host called, and the one that the guest switched to (zero for none).
    pub(crate) current: u32,
    pub(crate) effective: u32,
    pub(crate) asked: Asked,
}

/// What the guest asked for that happens only after the call, as in Envoy.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) actions: Vec<Action>,
    /// It sent a local response: whatever the callback returns, the chain does not go on.
    pub(crate) stop: bool,
    /// It did something that has no defined outcome in Envoy, such as a crash of the process.
    pub(crate) misuse: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) enum Action {
    Reply {
        at: StreamPosition,
        reply: LocalReply,
    },
    Continue {
        at: StreamPosition,
        direction: Direction,
    },
    Close {
        at: StreamPosition,
    },
    Call(OutgoingCall),
    /// Sends on a gRPC stream: a message, or the end, or both.
    GrpcSend {
        token: u32,
        message: Option<Vec<u8>>,
        end: bool,
    },
    GrpcCancel {
        token: u32,
    },
    Tick {
        root: u32,
        period: Duration,
    },
    Done {
        root: u32,
    },
    /// A queue has something new, and its owner is to be told.
    Enqueued {
        owner: Owner,
        token: u32,
    },
}

/// A filter within a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamPosition {
    pub(crate) stream: u64,
    pub(crate) filter: usize,
}

/// The kinds of calls that filters make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Http,
    Grpc,
    GrpcStream,
}

/// A call of a filter. It belongs to the root context, so it outlives the stream.
#[derive(Debug)]
pub(crate) struct OutgoingCall {
    pub(crate) kind: CallKind,
    pub(crate) root: u32,
    pub(crate) token: u32,
    pub(crate) cluster: String,
    pub(crate) request: Request,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum Context {
    Root(RootContext),
    Stream(StreamContext),
}

#[derive(Debug)]
pub(crate) struct RootContext {
    pub(crate) filter: Arc<Filter>,
    /// The plugin configuration can be read only during on_configure.
    pub(crate) configuring: bool,
    /// The response of an HTTP call can be read only during its callback.
    pub(crate) call_response: Option<Box<Response>>,
    /// Why the last call failed that broke off. The text is there during its callback only.
    pub(crate) call_status: (u32, String),
    /// The same of gRPC: each can be read only during its callback.
    pub(crate) grpc_metadata: Option<Headers>,
    pub(crate) grpc_message: Option<Vec<u8>>,
    pub(crate) grpc_trailers: Option<Headers>,
    /// The arguments of a foreign function that the host calls.
    pub(crate) call_data: Option<Vec<u8>>,
}

impl RootContext {
    pub(crate) fn new(filter: Arc<Filter>) -> Self {
        Self {
            filter,
            configuring: false,
            call_response: None,
            call_status: (0, String::new()),
            grpc_metadata: None,
            grpc_message: None,
            grpc_trailers: None,
            call_data: None,
        }
    }
}

/// A gRPC call or stream that the guest can name by its token.
#[derive(Debug)]
pub(crate) struct OpenGrpc {
    pub(crate) root: u32,
    pub(crate) local_closed: bool,
    pub(crate) remote_closed: bool,
}

impl OpenGrpc {
    pub(crate) fn of(root: u32) -> Self {
        Self {
            root,
            local_closed: false,
            remote_closed: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct StreamContext {
    pub(crate) root: u32,
    pub(crate) at: StreamPosition,
    pub(crate) state: Arc<Mutex<StreamState>>,
}

impl VmState {
    pub(crate) fn new(id: u64, thread: Thread, spec: VmSpec) -> Self {
        Self {
            id,
            thread,
            spec,
            contexts: BTreeMap::new(),
            last_context: 0,
            last_call: 0,
            last_grpc_call: 1,
            last_grpc_stream: 2,
            grpc: BTreeMap::new(),
            metrics: MetricIds::default(),
            ending: BTreeSet::new(),
            callback: "",
            deliberate: false,
            log_level: LevelFilter::Off,
            current: 0,
            effective: 0,
            asked: Asked::default(),
        }
    }

    pub(crate) fn insert(&mut self, context: Context) -> u32 {
        self.last_context += 1;
        self.contexts.insert(self.last_context, context);
        self.last_context
    }

    pub(crate) fn remove(&mut self, context: u32) {
        self.contexts.remove(&context);
    }

    pub(crate) fn contains(&self, context: u32) -> bool {
        self.contexts.contains_key(&context)
    }

    pub(crate) fn root_mut(&mut self, context: u32) -> Option<&mut RootContext> {
        match self.contexts.get_mut(&context) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }

    /// The context that a host call is about: the one that the guest switched to, while it exists.
    fn addressed(&self) -> Option<(u32, &Context)> {
        [self.effective, self.current]
            .into_iter()
            .find_map(|id| Some((id, self.contexts.get(&id)?)))
    }

    /// The stream that a host call is about, if it is about one.
    pub(crate) fn stream(&self) -> Option<&StreamContext> {
        match self.addressed()?.1 {
            Context::Stream(stream) => Some(stream),
            Context::Root(_) => None,
        }
    }

    /// The root context that a host call is about, directly or through its stream.
    pub(crate) fn root(&self) -> Option<(u32, &RootContext)> {
        let id = match self.addressed()? {
            (id, Context::Root(_)) => id,
            (_, Context::Stream(stream)) => stream.root,
        };
        match self.contexts.get(&id)? {
            Context::Root(root) => Some((id, root)),
            Context::Stream(_) => None,
        }
    }

    /// The stream that a host call is about, by its number.
    pub(crate) fn stream_id(&self) -> Option<u64> {
        Some(self.stream()?.at.stream)
    }

    /// The name of the filter that is running; empty while the VM starts.
    pub(crate) fn filter_name(&self) -> String {
        self.root()
            .map(|(_, root)| root.filter.name.clone())
            .unwrap_or_default()
    }

    /// Tokens of HTTP calls are multiples of four: the low bits tell the kinds of calls apart.
    pub(crate) fn next_call_token(&mut self) -> u32 {
        self.last_call += 4;
        self.last_call
    }

    pub(crate) fn next_grpc_token(&mut self, kind: CallKind) -> u32 {
        let last = match kind {
            CallKind::GrpcStream => &mut self.last_grpc_stream,
            _ => &mut self.last_grpc_call,
        };
        *last += 4;
        *last
    }

    pub(crate) fn ask(&mut self, action: Action) {
        self.asked.actions.push(action);
    }
}

/// Whether Envoy accepts these as the headers of an HTTP call.
pub(crate) fn is_complete_request(headers: &Headers) -> bool {
    [":path", ":method", ":authority"]
        .iter()
        .all(|name| headers.contains(name))
}
