//! How headers, body and trailers move from filter to filter, and where filters hold them.

use super::{About, Stream};
use crate::local_reply::LocalReply;
use crate::shared::Shared;
use crate::state::Direction;
use crate::sync::lock;
use crate::vm::{StreamPosition, Vm};
use crate::worker::Core;

/// What moves. The headers and trailers themselves are in the stream's state.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Headers { end: bool },
    Data { bytes: Vec<u8>, end: bool },
    Trailers,
}

impl Frame {
    /// The end of a body, where it comes by itself.
    pub(super) fn end_of_body() -> Self {
        Self::Data {
            bytes: Vec::new(),
            end: true,
        }
    }
}

/// What a filter holds of one direction.
#[derive(Debug, Default)]
pub(crate) enum Gate {
    /// Nothing: it lets through what comes.
    #[default]
    Open,
    /// The headers, and all that came after them, which it has not seen.
    Headers { end: bool, behind: Vec<Frame> },
    /// The body so far, which the filter's view keeps. Every further piece is shown to it.
    Body { end: bool },
    /// The trailers, and the body if it held that before.
    Trailers,
}

/// `Action::Continue` of the SDK.
const CONTINUE: u32 = 0;

impl Stream {
    /// Lets a frame go through the chain from this many hops on: forward for requests, backward for
    /// responses. Beyond the last filter is the router, or the client.
    pub(super) fn pass(&mut self, core: &mut Core, direction: Direction, hop: usize, frame: Frame) {
        if self.has_ended(direction) {
            return;
        }
        if hop == self.slots.len() {
            return match direction {
                Direction::Request => self.route(core, frame),
                Direction::Response => self.deliver(core, frame),
            };
        }
        let index = self.index(direction, hop);
        for frame in self.visit(core, direction, index, frame) {
            self.pass(core, direction, hop + 1, frame);
        }
        if std::mem::take(&mut self.resume) {
            self.resume(core, direction, index);
        }
    }

    /// A filter lets go what it holds.
    pub(crate) fn resume(&mut self, core: &mut Core, direction: Direction, index: usize) {
        let hop = self.index(direction, index);
        match std::mem::take(self.gate(direction, index)) {
            Gate::Open => {}
            Gate::Headers { end, behind } => {
                self.pass(core, direction, hop + 1, Frame::Headers { end });
                for frame in merged(behind) {
                    self.pass(core, direction, hop, frame);
                }
            }
            Gate::Body { end } => {
                let bytes = self.take_body(direction, index).unwrap_or_default();
                self.pass(core, direction, hop + 1, Frame::Data { bytes, end });
            }
            Gate::Trailers => {
                for frame in self.release_trailers(direction, index) {
                    self.pass(core, direction, hop + 1, frame);
                }
            }
        }
    }

    /// The filter at a hop, and the hop of a filter.
    fn index(&self, direction: Direction, hop: usize) -> usize {
        match direction {
            Direction::Request => hop,
            Direction::Response => self.slots.len() - 1 - hop,
        }
    }

    fn has_ended(&self, direction: Direction) -> bool {
        match direction {
            Direction::Request => self.request_ended,
            Direction::Response => self.response_ended,
        }
    }

    fn gate(&mut self, direction: Direction, index: usize) -> &mut Gate {
        match direction {
            Direction::Request => &mut self.request_gates[index],
            Direction::Response => &mut self.response_gates[index],
        }
    }

    fn take_body(&self, direction: Direction, index: usize) -> Option<Vec<u8>> {
        lock(&self.state).views[index].of(direction).body.take()
    }

    /// Shows a frame to one filter; gives what goes on from there.
    fn visit(
        &mut self,
        core: &mut Core,
        direction: Direction,
        index: usize,
        frame: Frame,
    ) -> Vec<Frame> {
        if let Gate::Headers { behind, .. } = self.gate(direction, index) {
            behind.push(frame);
            return Vec::new();
        }
        if direction == Direction::Request && matches!(frame, Frame::Headers { .. }) {
            self.create_context(core, index);
        } else if direction == Direction::Response {
            let slot = &self.slots[index];
            if slot.context.is_none() || slot.failed {
                return vec![frame];
            }
        }
        match frame {
            Frame::Headers { end } => self.visit_headers(core, direction, index, end),
            Frame::Data { bytes, end } => self.visit_body(core, direction, index, bytes, end),
            Frame::Trailers => self.visit_trailers(core, direction, index),
        }
    }

    fn visit_headers(
        &mut self,
        core: &mut Core,
        direction: Direction,
        index: usize,
        end: bool,
    ) -> Vec<Frame> {
        let count = {
            let mut state = lock(&self.state);
            state.views[index].of(direction).headers = true;
            match direction {
                Direction::Request => state.request_headers.len(),
                Direction::Response => state.response_headers.as_ref().map_or(0, |map| map.len()),
            }
        };
        let about = |name| About {
            name,
            size: count,
            end,
        };
        let verdict = match direction {
            Direction::Request => self.ask(core, index, about("request_headers"), |vm, context| {
                vm.on_request_headers(context, count, end)
            }),
            Direction::Response => {
                self.ask(core, index, about("response_headers"), |vm, context| {
                    vm.on_response_headers(context, count, end)
                })
            }
        };
        match verdict {
            Some(CONTINUE) => {
                assert!(
                    !self.resume,
                    "a filter resumed headers in the callback that let them pass: Envoy 1.40 sends \
                     them twice"
                );
                lock(&self.state).views[index].of(direction).headers = false;
                vec![Frame::Headers { end }]
            }
            Some(_) => {
                let behind = Vec::new();
                *self.gate(direction, index) = Gate::Headers { end, behind };
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn visit_body(
        &mut self,
        core: &mut Core,
        direction: Direction,
        index: usize,
        bytes: Vec<u8>,
        end: bool,
    ) -> Vec<Frame> {
        let size = {
            let mut state = lock(&self.state);
            let body = &mut state.views[index].of(direction).body;
            let held = body.get_or_insert_default();
            held.extend(bytes);
            held.len()
        };
        let about = |name| About { name, size, end };
        let verdict = match direction {
            Direction::Request => self.ask(core, index, about("request_body"), |vm, context| {
                vm.on_request_body(context, size, end)
            }),
            Direction::Response => self.ask(core, index, about("response_body"), |vm, context| {
                vm.on_response_body(context, size, end)
            }),
        };
        match verdict {
            Some(CONTINUE) => {
                *self.gate(direction, index) = Gate::Open;
                let bytes = self.take_body(direction, index).unwrap_or_default();
                vec![Frame::Data { bytes, end }]
            }
            Some(_) => {
                *self.gate(direction, index) = Gate::Body { end };
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn visit_trailers(
        &mut self,
        core: &mut Core,
        direction: Direction,
        index: usize,
    ) -> Vec<Frame> {
        let count = {
            let mut state = lock(&self.state);
            state.views[index].of(direction).trailers = true;
            match direction {
                Direction::Request => state.request_trailers.len(),
                Direction::Response => state.response_trailers.as_ref().map_or(0, |map| map.len()),
            }
        };
        let about = |name| About {
            name,
            size: count,
            end: true,
        };
        let verdict = match direction {
            Direction::Request => {
                self.ask(core, index, about("request_trailers"), |vm, context| {
                    vm.on_request_trailers(context, count)
                })
            }
            Direction::Response => {
                self.ask(core, index, about("response_trailers"), |vm, context| {
                    vm.on_response_trailers(context, count)
                })
            }
        };
        match verdict {
            Some(CONTINUE) => {
                *self.gate(direction, index) = Gate::Open;
                self.release_trailers(direction, index)
            }
            Some(_) => {
                *self.gate(direction, index) = Gate::Trailers;
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn release_trailers(&self, direction: Direction, index: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        if let Some(bytes) = self.take_body(direction, index) {
            frames.push(Frame::Data { bytes, end: false });
        }
        lock(&self.state).views[index].of(direction).trailers = false;
        frames.push(Frame::Trailers);
        frames
    }

    /// Runs a callback and gives what it returned; nothing if the stream took another course: the
    /// filter answered, or its VM is dead and the stream was answered for that.
    fn ask(
        &mut self,
        core: &mut Core,
        index: usize,
        about: About,
        callback: impl FnOnce(&Vm, u32) -> crate::vm::Called,
    ) -> Option<u32> {
        let at = StreamPosition {
            stream: self.id,
            filter: index,
        };
        let Some((vm, called)) = self.call(index, about, callback) else {
            return self.fail(core, index);
        };
        if about.name == "request_headers" && called.died.as_deref().is_some_and(is_no_http_context)
        {
            self.refuse_network_filter(core, index);
        }
        let Some(value) = called.value else {
            return self.fail(core, index);
        };
        let stop = called.asked.stop;
        self.absorb(core, &vm, at, called.asked);
        (!stop && !self.over).then_some(value)
    }

    /// The crash in its first callback is none of the filter's own, and says nothing to its author.
    fn refuse_network_filter(&self, core: &Core, index: usize) -> ! {
        let Shared { failures, logs, .. } = &*core.shared;
        drop(failures.take_crashes(logs, false));
        let filter = &self.slots[index].filter.name;
        panic!(
            "filter {filter:?} is a network filter: its root context makes StreamContexts. The native \
             host runs HTTP filters only"
        );
    }

    fn fail(&mut self, core: &mut Core, index: usize) -> Option<u32> {
        if !self.slots[index].failed {
            self.slots[index].failed = true;
            self.local_reply(core, &LocalReply::failed_vm());
        }
        None
    }
}

/// What the SDK says when it is called for a context of another kind.
fn is_no_http_context(panic: &str) -> bool {
    panic.contains("invalid context_id")
}

/// Puts neighbouring pieces of a body together, as Envoy's buffer does.
fn merged(frames: Vec<Frame>) -> Vec<Frame> {
    let mut merged: Vec<Frame> = Vec::new();
    for frame in frames {
        match (merged.last_mut(), frame) {
            (
                Some(Frame::Data { bytes, end }),
                Frame::Data {
                    bytes: more,
                    end: last,
                },
            ) => {
                bytes.extend(more);
                *end = last;
            }
            (_, frame) => merged.push(frame),
        }
    }
    merged
}
