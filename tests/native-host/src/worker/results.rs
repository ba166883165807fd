//! How calls of filters end: what their guests are told.

use std::sync::Arc;

use super::calls::Result;
use super::{Plugin, Worker};
use crate::grpc::wire::{End, Piece, outcome_of_call};
use crate::message::Response;
use crate::sync::lock;
use crate::vm::{CallKind, Called, RootContext, Vm};

/// The status of an HTTP call that broke off: the ABI's `BrokenConnection`.
const CALL_RESET: (u32, &str) = (11, "reset");

impl Worker {
    /// The time of a call's outcome, or of a part of it, has come.
    pub(super) fn finish_call(&mut self, id: u64, version: u32, result: Result) {
        if self.core.call_version(id) != Some(version) {
            return;
        }
        match result {
            Result::Http(response) => self.finish_http_call(id, response),
            Result::Grpc(pieces) => self.continue_grpc(id, pieces),
        }
    }

    fn finish_http_call(&mut self, id: u64, response: Option<Response>) {
        let Some(call) = self.core.calls.remove(&id) else {
            return;
        };
        let (vm, root, token) = (call.vm, call.call.root, call.call.token);
        let sizes = response.as_ref().map_or((0, 0, 0), |response| {
            let body = response.body_bytes().len();
            (response.headers.len(), body, response.trailers.len())
        });
        let there = change_root(&vm, root, |root| {
            // Envoy does not take the code back when a later call succeeds.
            if response.is_none() {
                let (code, text) = CALL_RESET;
                root.call_status = (code, text.to_owned());
            }
            root.call_response = response.map(Box::new);
        });
        if !there {
            return;
        }
        let (headers, body, trailers) = sizes;
        let called = vm.on_http_call_response(root, token, headers, body, trailers);
        change_root(&vm, root, |root| {
            root.call_response = None;
            root.call_status.1.clear();
        });
        self.core.absorb(&vm, called.asked);
    }

    fn continue_grpc(&mut self, id: u64, pieces: Vec<Piece>) {
        let Some(call) = self.core.calls.get(&id) else {
            return;
        };
        if call.call.kind == CallKind::Grpc {
            return self.finish_grpc_call(id, pieces);
        }
        let (vm, root, token) = (Arc::clone(&call.vm), call.call.root, call.call.token);
        for piece in pieces {
            // The filter may have taken the stream back in the meantime.
            if !self.core.calls.contains_key(&id) {
                return;
            }
            if matches!(piece, Piece::End(_)) {
                self.core.calls.remove(&id);
            }
            self.tell_of_stream(&vm, root, token, piece);
        }
    }

    fn tell_of_stream(&mut self, vm: &Arc<Vm>, root: u32, token: u32, piece: Piece) {
        match piece {
            Piece::Metadata(headers) => {
                let count = headers.len() as u32;
                let hold = |root: &mut RootContext, headers| root.grpc_metadata = headers;
                self.tell(vm, root, Some(headers), hold, |vm| {
                    vm.on_grpc_initial_metadata(root, token, count)
                });
            }
            Piece::Message(message) => self.tell_of_message(vm, root, token, message),
            Piece::End(end) => {
                let count = end.trailers.len() as u32;
                let hold = |root: &mut RootContext, trailers| root.grpc_trailers = trailers;
                self.tell(vm, root, Some(end.trailers.clone()), hold, |vm| {
                    vm.on_grpc_trailing_metadata(root, token, count)
                });
                self.close_grpc(vm, root, token, end);
            }
        }
    }

    fn tell_of_message(&mut self, vm: &Arc<Vm>, root: u32, token: u32, message: Vec<u8>) {
        let size = message.len();
        let hold = |root: &mut RootContext, message| root.grpc_message = message;
        self.tell(vm, root, Some(message), hold, |vm| {
            vm.on_grpc_message(root, token, size)
        });
    }

    fn close_grpc(&mut self, vm: &Arc<Vm>, root: u32, token: u32, end: End) {
        // In the last callback of a stream its token is still good.
        match lock(&vm.state).grpc.get_mut(&token) {
            Some(open) => open.remote_closed = true,
            None => return,
        }
        let status = end.status;
        let hold = |root: &mut RootContext, end: Option<End>| match end {
            Some(end) => root.call_status = (end.status, end.text),
            None => root.call_status.1.clear(),
        };
        self.tell(vm, root, Some(end), hold, |vm| {
            vm.on_grpc_close(root, token, status)
        });
        let mut state = lock(&vm.state);
        if state.grpc.get(&token).is_some_and(|open| open.local_closed) {
            state.grpc.remove(&token);
        }
    }

    fn finish_grpc_call(&mut self, id: u64, pieces: Vec<Piece>) {
        let Some(outcome) = outcome_of_call(pieces) else {
            return;
        };
        let Some(call) = self.core.calls.remove(&id) else {
            return;
        };
        let (vm, root, token) = (call.vm, call.call.root, call.call.token);
        match outcome {
            Ok(message) => self.tell_of_message(&vm, root, token, message),
            Err((status, text)) => {
                let trailers = crate::headers::Headers::new();
                let end = End {
                    trailers,
                    status,
                    text,
                };
                self.close_grpc(&vm, root, token, end);
            }
        }
        lock(&vm.state).grpc.remove(&token);
    }

    pub(super) fn call_with_data(&mut self, plugin: &Plugin, function: u32, arguments: &[u8]) {
        let (size, root) = (arguments.len(), plugin.root);
        let hold = |root: &mut RootContext, data| root.call_data = data;
        self.tell(&plugin.vm, root, Some(arguments.to_vec()), hold, |vm| {
            vm.on_foreign_function(root, function, size)
        });
    }

    /// Runs a callback while the root context holds what it is about; then what the guest asked for.
    fn tell<T>(
        &mut self,
        vm: &Arc<Vm>,
        root: u32,
        content: Option<T>,
        hold: impl Fn(&mut RootContext, Option<T>),
        callback: impl FnOnce(&Vm) -> Called,
    ) {
        if !change_root(vm, root, |root| hold(root, content)) {
            return;
        }
        let called = callback(vm);
        change_root(vm, root, |root| hold(root, None));
        self.core.absorb(vm, called.asked);
        self.run_asked();
    }
}

/// Changes a root context, if it is there.
fn change_root(vm: &Vm, root: u32, change: impl FnOnce(&mut RootContext)) -> bool {
    lock(&vm.state).root_mut(root).map(change).is_some()
}
