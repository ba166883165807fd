//! The calls of filters that are under way on a worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::events::{Core, Event};
use crate::grpc::service::{GrpcReply, GrpcRequest, GrpcStage};
use crate::grpc::wire::{self, Piece, Progress};
use crate::message::{Request, Response};
use crate::sync::lock;
use crate::upstream::{Answer, AnswerKind, Cluster};
use crate::vm::{CallKind, OutgoingCall, Vm};

/// The calls of a worker, each by a number of its own.
pub(crate) type Calls = BTreeMap<u64, Call>;

/// A call that has not come to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) vm: Arc<Vm>,
    pub(crate) filter: String,
    pub(crate) call: OutgoingCall,
    /// The messages that were sent.
    pub(crate) messages: Vec<Vec<u8>>,
    /// When the request was complete.
    complete: Option<Duration>,
    /// The filter has got the initial metadata.
    begun: bool,
    /// How often the call was answered by hand. What was due before is void then.
    version: u32,
}

/// What a call comes to, or a part of that.
#[derive(Debug)]
pub(crate) enum Result {
    Http(Option<Response>),
    Grpc(Vec<Piece>),
}

impl Core {
    /// Sends a call, and schedules its outcome: what the cluster answers, or a timeout if that comes
    /// first.
    pub(crate) fn send_call(&mut self, vm: Arc<Vm>, call: OutgoingCall) {
        let filter = lock(&vm.state)
            .root_mut(call.root)
            .map(|root| root.filter.name.clone());
        let id = self.shared.next_id();
        let (kind, cluster, request) = (call.kind, call.cluster.clone(), call.request.clone());
        let timeout = call.timeout;
        let now = self.shared.clock.monotonic();
        self.calls.insert(
            id,
            Call {
                vm,
                filter: filter.unwrap_or_default(),
                messages: wire::messages(&request.body_bytes()).unwrap_or_default(),
                call,
                complete: (kind != CallKind::GrpcStream).then_some(now),
                begun: false,
                version: 0,
            },
        );
        match kind {
            CallKind::Http => {
                let answer = self.ask_service_by_http(&cluster, &request);
                if let Some(answer) = answer.or_else(|| self.ask_http(&cluster, &request)) {
                    self.answer_http(id, answer, timeout);
                }
            }
            CallKind::Grpc => {
                let reply = self.ask_service(id, GrpcStage::Call);
                self.answer_grpc(id, reply, timeout);
            }
            CallKind::GrpcStream => {
                let reply = self.ask_service(id, GrpcStage::Opened);
                self.answer_grpc(id, reply, None);
            }
        }
    }

    /// Lets a gRPC service answer an HTTP call, if that is gRPC.
    fn ask_service_by_http(&self, cluster: &str, request: &Request) -> Option<Answer> {
        let service = self.shared.services.get(cluster)?;
        if !wire::is_grpc(&request.headers) {
            return None;
        }
        let messages = wire::messages(&request.body_bytes()).unwrap_or_default();
        let reply = service.0(&GrpcRequest {
            request: request.clone(),
            messages,
            stage: GrpcStage::Call,
        });
        Some(wire::answer(reply))
    }

    fn ask_http(&self, cluster: &str, request: &Request) -> Option<Answer> {
        match self.shared.clusters.get(cluster)? {
            Cluster::Hosts(handler) => Some(handler(request)),
            Cluster::Empty => None,
        }
    }

    /// Lets a service act. A cluster without one is an HTTP server, which gets the whole request.
    fn ask_service(&self, id: u64, stage: GrpcStage) -> GrpcReply {
        let Some(call) = self.calls.get(&id) else {
            return GrpcReply::nothing();
        };
        let mut request = call.call.request.clone();
        request.chunks = call.messages.iter().map(|text| wire::frame(text)).collect();
        let cluster = &call.call.cluster;
        if let Some(service) = self.shared.services.get(cluster) {
            let messages = call.messages.clone();
            return service.0(&GrpcRequest {
                request,
                messages,
                stage,
            });
        }
        match stage {
            GrpcStage::Call | GrpcStage::Ended => {
                let answer = self.ask_http(cluster, &request);
                answer.map_or_else(GrpcReply::nothing, GrpcReply::from)
            }
            _ => GrpcReply::nothing(),
        }
    }

    fn answer_http(&mut self, id: u64, answer: Answer, timeout: Option<Duration>) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let is_grpc = wire::is_grpc(&call.call.request.headers);
        let never = matches!(answer.kind, AnswerKind::Never);
        let delay = (!never).then_some(answer.delay);
        let (delay, response) = match (delay, timeout) {
            (Some(delay), timeout) if timeout.is_none_or(|timeout| delay < timeout) => {
                (delay, answer.kind.as_call_response(delay, is_grpc))
            }
            (_, Some(timeout)) => {
                let response = Response::local_for(is_grpc, 504, "upstream request timeout");
                (timeout, Some(response))
            }
            (_, None) => return,
        };
        self.schedule_result(id, delay, Result::Http(response));
    }

    fn answer_grpc(&mut self, id: u64, reply: GrpcReply, timeout: Option<Duration>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let now = self.shared.clock.monotonic();
        let progress = Progress {
            begun: call.begun,
            elapsed: call.complete.map(|complete| now + reply.delay - complete),
        };
        let pieces = wire::pieces(reply.content, progress);
        let ends = call.call.kind == CallKind::GrpcStream
            || pieces.iter().any(|piece| matches!(piece, Piece::End(_)));
        if let Some(timeout) = timeout.filter(|timeout| !ends || *timeout <= reply.delay) {
            let pieces = wire::unavailable("upstream request timeout", "response_timeout");
            self.schedule_result(id, timeout, Result::Grpc(pieces));
        } else if ends && !pieces.is_empty() {
            call.begun = true;
            self.schedule_result(id, reply.delay, Result::Grpc(pieces));
        }
    }

    fn schedule_result(&mut self, id: u64, delay: Duration, result: Result) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let version = call.version;
        let event = Event::Call {
            id,
            version,
            result,
        };
        self.schedule(delay, event);
    }

    /// The version of a call; nothing if it is over.
    pub(crate) fn call_version(&self, id: u64) -> Option<u32> {
        Some(self.calls.get(&id)?.version)
    }

    fn find_call(&self, vm: &Arc<Vm>, token: u32) -> Option<u64> {
        let mut calls = self.calls.iter();
        let is_it = |call: &Call| Arc::ptr_eq(&call.vm, vm) && call.call.token == token;
        calls.find(|(_, call)| is_it(call)).map(|(id, _)| *id)
    }

    /// A filter sends on a stream: a message, or the end, or both.
    pub(crate) fn send_grpc(
        &mut self,
        vm: &Arc<Vm>,
        token: u32,
        message: Option<Vec<u8>>,
        end: bool,
    ) {
        let Some(id) = self.find_call(vm, token) else {
            return;
        };
        let now = self.shared.clock.monotonic();
        let Some(call) = self
            .calls
            .get_mut(&id)
            .filter(|call| call.complete.is_none())
        else {
            return;
        };
        let stages = [
            message.is_some().then_some(GrpcStage::Message),
            end.then_some(GrpcStage::Ended),
        ];
        call.messages.extend(message);
        for stage in stages.into_iter().flatten() {
            if stage == GrpcStage::Ended {
                self.calls
                    .entry(id)
                    .and_modify(|call| call.complete = Some(now));
            }
            let reply = self.ask_service(id, stage);
            self.answer_grpc(id, reply, None);
        }
    }

    /// A filter takes a call or a stream back.
    pub(crate) fn cancel_call(&mut self, vm: &Arc<Vm>, token: u32) {
        if let Some(id) = self.find_call(vm, token) {
            self.calls.remove(&id);
        }
    }

    /// The test answers a call by hand, in the place of what was to come. On a stream it is another
    /// reply. Says whether the call is still there.
    pub(crate) fn answer_by_hand(&mut self, id: u64, reply: ByHand) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        if call.call.kind != CallKind::GrpcStream {
            call.version += 1;
        }
        match (call.call.kind, reply) {
            (CallKind::Http, ByHand::Http(answer)) => {
                if matches!(answer.kind, AnswerKind::Never) {
                    return true;
                }
                let is_grpc = wire::is_grpc(&call.call.request.headers);
                let response = answer.kind.as_call_response(answer.delay, is_grpc);
                self.schedule_result(id, answer.delay, Result::Http(response));
            }
            (CallKind::Http, ByHand::Grpc(reply)) => {
                return self.answer_by_hand(id, ByHand::Http(wire::answer(reply)));
            }
            (_, ByHand::Http(answer)) => self.answer_grpc(id, answer.into(), None),
            (_, ByHand::Grpc(reply)) => self.answer_grpc(id, reply, None),
        }
        true
    }
}

/// What a test answers by hand.
#[derive(Debug)]
pub(crate) enum ByHand {
    Http(Answer),
    Grpc(GrpcReply),
}
