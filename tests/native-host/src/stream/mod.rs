//! One request on its way through the chain of filters, to the upstream and back.

mod client;
mod flow;
mod held;
mod router;

use std::sync::{Arc, Mutex};

use self::client::Client;
pub(crate) use self::flow::Frame;
use self::flow::Gate;
use self::router::Router;
use crate::flags::ResponseFlags;
use crate::local_reply::LocalReply;
use crate::message::{Protocol, Request};
use crate::outcome::{Action, Callback, Outcome};
use crate::state::{Direction, StreamState};
use crate::sync::lock;
use crate::vm::{self, Asked, Called, StreamPosition, Vm};
use crate::worker::{Core, Slot};

/// A stream, until its outcome is taken.
#[derive(Debug)]
pub(crate) struct Stream {
    id: u64,
    pub(crate) state: Arc<Mutex<StreamState>>,
    slots: Vec<Slot>,
    request_gates: Vec<Gate>,
    response_gates: Vec<Gate>,
    /// The client has sent all of the request.
    request_complete: bool,
    /// Nothing of the request moves on: it was answered.
    request_ended: bool,
    /// Nothing of the response moves on through the filters: another one took its place.
    response_ended: bool,
    router: Router,
    client: Client,
    trace: Vec<Callback>,
    /// The callback that is running asked for the stream to go on.
    resume: bool,
    /// The stream has ended; nothing happens to it any more.
    over: bool,
    outcome: Option<Outcome>,
}

impl Stream {
    pub(crate) fn new(core: &Core, slots: Vec<Slot>, request: &Request) -> Self {
        let id = core.shared.next_id();
        let now = core.shared.clock.now();
        let state = StreamState::new(request, id, slots.len(), now);
        let gates = || slots.iter().map(|_| Gate::Open).collect();
        Self {
            id,
            state: Arc::new(Mutex::new(state)),
            request_gates: gates(),
            response_gates: gates(),
            slots,
            request_complete: false,
            request_ended: false,
            response_ended: false,
            router: Router::default(),
            client: Client::default(),
            trace: Vec::new(),
            resume: false,
            over: false,
            outcome: None,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// Takes what there is of a request at once: nothing else happens in between.
    pub(crate) fn receive(&mut self, core: &mut Core, request: &Request, finished: bool) {
        let trailers = finished && !request.trailers.is_empty();
        let end = finished && !trailers;
        self.resolve_route(core);
        let headers = Frame::Headers {
            end: end && request.chunks.is_empty(),
        };
        self.pass(core, Direction::Request, 0, headers);
        for (index, chunk) in request.chunks.iter().enumerate() {
            let last = index + 1 == request.chunks.len();
            self.receive_body(core, chunk, end && last);
        }
        if trailers {
            self.pass(core, Direction::Request, 0, Frame::Trailers);
        }
        self.request_complete = finished;
    }

    /// The request ends: with its trailers, if it has any.
    pub(crate) fn receive_end(&mut self, core: &mut Core) {
        if lock(&self.state).request_trailers.is_empty() {
            if !std::mem::replace(&mut self.request_complete, true) {
                self.receive_body(core, b"", true);
            }
        } else {
            self.receive_trailers(core, &[]);
        }
    }

    /// Takes trailers, which end the request.
    pub(crate) fn receive_trailers(&mut self, core: &mut Core, trailers: &[(&str, &str)]) {
        if std::mem::replace(&mut self.request_complete, true) {
            return;
        }
        for (name, value) in trailers {
            lock(&self.state).request_trailers.add(name, value);
        }
        self.pass(core, Direction::Request, 0, Frame::Trailers);
    }

    /// Takes a piece of the request's body. Over HTTP/1.1 the end comes by itself.
    pub(crate) fn receive_body(&mut self, core: &mut Core, bytes: &[u8], end: bool) {
        let protocol = {
            let mut state = lock(&self.state);
            state.info.bytes_received += bytes.len();
            state.info.protocol
        };
        let end_by_itself = end && protocol == Protocol::Http1 && !bytes.is_empty();
        let mut frames = vec![Frame::Data {
            bytes: bytes.to_vec(),
            end: end && !end_by_itself,
        }];
        if end_by_itself {
            frames.push(Frame::end_of_body());
        }
        for frame in frames {
            self.pass(core, Direction::Request, 0, frame);
        }
    }

    /// The client closes its connection.
    pub(crate) fn disconnect(&mut self, core: &mut Core) {
        self.lose_client(core, ResponseFlags::DC, "downstream_remote_disconnect");
    }

    /// The client resets its HTTP/2 stream.
    pub(crate) fn reset(&mut self, core: &mut Core) {
        self.lose_client(core, ResponseFlags::DR, "http2.remote_reset");
    }

    fn lose_client(&mut self, core: &mut Core, flag: ResponseFlags, details: &str) {
        self.fail_with(flag, details);
        self.abort(core);
    }

    /// A filter resets the stream: the client gets nothing (more).
    pub(crate) fn close(&mut self, core: &mut Core) {
        lock(&self.state)
            .info
            .code_details
            .get_or_insert_with(|| b"wasm_close_stream".to_vec());
        self.abort(core);
    }

    /// Breaks off towards the client.
    fn abort(&mut self, core: &mut Core) {
        self.client.broken_off = true;
        self.finish(core);
    }

    fn fail_with(&self, flag: ResponseFlags, details: &str) {
        let mut state = lock(&self.state);
        state.info.flags |= flag;
        state.info.code_details = Some(details.as_bytes().to_vec());
    }

    /// Answers in place of the upstream:
    ///
    /// * before there is a response, through the filters that have seen the request;
    /// * while a response is on its way through them, straight to the client in its place;
    /// * after its headers are with the client, by breaking off.
    pub(crate) fn local_reply(&mut self, core: &mut Core, reply: &LocalReply) {
        if self.over {
            return;
        }
        self.request_ended = true;
        let mut state = lock(&self.state);
        state.info.code_details = Some(reply.details.clone());
        let (headers, body) = reply.encode(&state);
        if self.client.has_headers() {
            drop(state);
            return self.abort(core);
        }
        let first = state.response_headers.replace(headers).is_none();
        state.response_trailers = None;
        state.info.response_code = Some(reply.code);
        drop(state);
        let end = body.is_empty();
        let mut frames = vec![Frame::Headers { end }];
        if !end {
            frames.push(Frame::Data {
                bytes: body,
                end: true,
            });
        }
        if first {
            self.refresh_route(core);
        } else {
            self.response_ended = true;
        }
        for frame in frames {
            if first {
                self.pass(core, Direction::Response, 0, frame);
            } else {
                self.deliver(core, frame);
            }
        }
    }

    /// Sees to what a filter asked for in a callback of this stream. Replies come before what the
    /// callback returned, going on comes after it.
    fn absorb(&mut self, core: &mut Core, vm: &Arc<Vm>, at: StreamPosition, mut asked: Asked) {
        let (here, elsewhere): (Vec<_>, _) =
            asked.actions.drain(..).partition(|action| match action {
                vm::Action::Reply { at, .. } | vm::Action::Close { at } => at.stream == self.id,
                vm::Action::Continue { at: other, .. } => *other == at,
                _ => false,
            });
        asked.actions = elsewhere;
        core.absorb(vm, asked);
        for action in here {
            match action {
                vm::Action::Reply { reply, .. } => self.local_reply(core, &reply),
                vm::Action::Close { .. } => self.close(core),
                vm::Action::Continue { .. } => self.resume = true,
                _ => {}
            }
        }
    }

    /// Runs a callback of one filter, if its VM lives, and notes it.
    fn call(
        &mut self,
        index: usize,
        about: About,
        callback: impl FnOnce(&Vm, u32) -> Called,
    ) -> Option<(Arc<Vm>, Called)> {
        let slot = &self.slots[index];
        let plugin = slot.plugin.as_ref().filter(|plugin| !plugin.vm.is_dead())?;
        let context = slot.context?;
        let vm = Arc::clone(&plugin.vm);
        let called = callback(&vm, context);
        let filter = slot.filter.name.clone();
        self.trace.push(Callback {
            filter,
            name: about.name,
            size: about.size,
            end_of_stream: about.end,
            action: called.value.and_then(|value| about.action(value)),
        });
        Some((vm, called))
    }

    /// Creates the context of a filter, unless it exists or the VM is dead.
    fn create_context(&mut self, core: &mut Core, index: usize) {
        let at = StreamPosition {
            stream: self.id,
            filter: index,
        };
        let slot = &mut self.slots[index];
        let plugin = slot.plugin.as_ref().filter(|plugin| !plugin.vm.is_dead());
        if let (Some(plugin), None) = (plugin, slot.context) {
            slot.context = plugin.open(core, at, &self.state);
        }
    }

    /// Ends the stream: on_log for every filter, those too that saw nothing of the request; then
    /// on_done and the context's end for each.
    fn finish(&mut self, core: &mut Core) {
        if self.over {
            return;
        }
        self.over = true;
        self.request_ended = true;
        self.response_ended = true;
        {
            let mut state = lock(&self.state);
            let started = state.info.started;
            state.info.duration = Some(core.shared.clock.monotonic() - started);
        }
        for index in 0..self.slots.len() {
            self.create_context(core, index);
            self.set_logging(index, true);
            self.finish_with(core, index, "log", Vm::on_log);
            self.set_logging(index, false);
        }
        for index in 0..self.slots.len() {
            self.finish_with(core, index, "done", Vm::on_done);
            self.finish_with(core, index, "delete", Vm::on_delete);
            let slot = &self.slots[index];
            if let (Some(plugin), Some(context)) = (&slot.plugin, slot.context) {
                lock(&plugin.vm.state).remove(context);
            }
        }
        let client = std::mem::take(&mut self.client);
        self.outcome = Some(Outcome {
            stream: self.id,
            received: client.received(),
            upstream: std::mem::take(&mut self.router.seen),
            trace: std::mem::take(&mut self.trace),
            state: Arc::clone(&self.state),
            shared: Arc::clone(&core.shared),
        });
    }

    fn set_logging(&self, index: usize, logging: bool) {
        lock(&self.state).views[index].logging = logging;
    }

    fn finish_with(
        &mut self,
        core: &mut Core,
        index: usize,
        name: &'static str,
        callback: fn(&Vm, u32) -> Called,
    ) {
        if let Some((vm, called)) = self.call(index, About::the_end(name), callback) {
            core.absorb(&vm, called.asked);
        }
    }
}

/// A callback that is about to run.
#[derive(Clone, Copy)]
struct About {
    name: &'static str,
    size: usize,
    end: bool,
}

impl About {
    fn the_end(name: &'static str) -> Self {
        let (size, end) = (0, false);
        Self { name, size, end }
    }

    /// What a callback's number says about the stream, if it says anything.
    fn action(self, value: u32) -> Option<Action> {
        match (self.name, value) {
            ("log" | "done" | "delete", _) => None,
            (_, 0) => Some(Action::Continue),
            _ => Some(Action::Pause),
        }
    }
}
