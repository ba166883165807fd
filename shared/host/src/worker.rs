//! The work of a plugin outside of streams: on its timer, and when another service answers a call.

use crate::backend::backend;
use crate::call::{Call, CallId};
use crate::error::Error;
use crate::grpc::GrpcCall;

/// The waiting requests that a plugin has woken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// All of them.
    pub all: bool,
    /// Those that have made these calls.
    pub callers: Vec<CallId>,
}

impl Woken {
    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        !self.all && self.callers.is_empty()
    }
}

/// Access to Envoy outside of streams, on one worker.
#[derive(Debug, Default)]
pub struct Worker {
    woken: Woken,
    failures: Vec<(&'static str, Error)>,
}

impl Worker {
    /// Sends a request. [`Plugin::on_call_response`](crate::Plugin::on_call_response) receives the response.
    pub fn call(&mut self, call: &Call<'_>) -> Result<CallId, Error> {
        backend().call(call)
    }

    /// Sends a gRPC request; see [`call`](Self::call).
    pub fn grpc_call(&mut self, call: &GrpcCall<'_>) -> Result<CallId, Error> {
        call.with(|call| self.call(call))
    }

    /// Whether [`call`](Self::call) works in this worker. If not, another worker makes the calls of all.
    pub fn makes_calls(&self) -> bool {
        backend().makes_calls()
    }

    /// Asks the worker that makes the calls to do something about a topic, in its next tick, which follows at once.
    pub fn ask_caller(&mut self, topic: u64) {
        backend().ask_caller(topic);
    }

    /// Whether another worker has [asked](Self::ask_caller) since the last call with this topic.
    pub fn take_asked(&mut self, topic: u64) -> bool {
        backend().take_asked(topic)
    }

    /// Wakes the waiting requests: [`Plugin::on_request`](crate::Plugin::on_request) judges them again. If the thread
    /// that makes the calls of all workers wakes them, it wakes those of all workers.
    pub fn wake(&mut self) {
        self.woken.all = true;
    }

    /// Wakes the request that waits and has made this call, if it still exists. With many waiting requests this is
    /// cheaper than to wake all for each response.
    pub fn wake_caller(&mut self, call: CallId) {
        self.woken.callers.push(call);
    }

    /// The value of a result. An error goes to the log, and the default takes its place.
    pub fn unwrap_or_warn<T: Default>(
        &mut self,
        plugin: &'static str,
        result: Result<T, Error>,
    ) -> T {
        result.unwrap_or_else(|error| {
            self.failures.push((plugin, error));
            T::default()
        })
    }

    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        &self.failures
    }

    pub(crate) fn into_woken(self) -> Woken {
        self.woken
    }
}
