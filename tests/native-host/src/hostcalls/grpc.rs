//! gRPC calls and streams.
//!
//! As in Envoy they belong to the root context, whatever context makes them: they outlive the stream.

use std::time::Duration;

use super::Guest;
use crate::grpc::wire;
use crate::headers::Headers;
use crate::status::Status;
use crate::upstream::Cluster;
use crate::vm::{Action, CallKind, OpenGrpc, OutgoingCall};

/// The low bits of a token say which kind of call it is for.
const CALL_KIND: u32 = 3;
const GRPC_CALL: u32 = 1;
const GRPC_STREAM: u32 = 2;

/// What a guest wants to talk to.
pub(crate) struct GrpcTarget<'a> {
    pub(crate) cluster: &'a [u8],
    pub(crate) service: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) metadata: &'a [u8],
}

impl Guest<'_> {
    /// Makes a call with one message. Zero milliseconds are no timeout.
    pub(crate) fn grpc_call(
        &mut self,
        target: &GrpcTarget<'_>,
        message: &[u8],
        timeout: u32,
    ) -> Result<u32, Status> {
        let token = self.begin(target, CallKind::Grpc, Some(timeout), Some(message))?;
        Ok(token)
    }

    pub(crate) fn open_grpc_stream(&mut self, target: &GrpcTarget<'_>) -> Result<u32, Status> {
        self.begin(target, CallKind::GrpcStream, None, None)
    }

    fn begin(
        &mut self,
        target: &GrpcTarget<'_>,
        kind: CallKind,
        timeout: Option<u32>,
        message: Option<&[u8]>,
    ) -> Result<u32, Status> {
        let (root, _) = self.vm.root().ok_or(Status::BadArgument)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cluster = text(target.cluster);
        if !self.shared.services.contains_key(&cluster) {
            match self.shared.clusters.get(&cluster) {
                Some(Cluster::Hosts(_)) => {}
                Some(Cluster::Empty) => {
                    self.vm.next_grpc_token(kind);
                    return Err(Status::InternalFailure);
                }
                None => return Err(Status::ParseFailure),
            }
        }
        let metadata = Headers::from_pairs(target.metadata);
        let (service, method) = (text(target.service), text(target.method));
        let mut request = wire::request(&cluster, &service, &method, &metadata, timeout);
        request.chunks.extend(message.map(wire::frame));
        let token = self.vm.next_grpc_token(kind);
        self.vm.grpc.insert(token, OpenGrpc::of(root));
        let timeout = timeout.filter(|timeout| *timeout > 0);
        self.vm.ask(Action::Call(OutgoingCall {
            kind,
            root,
            token,
            cluster,
            request,
            timeout: timeout.map(|timeout| Duration::from_millis(timeout.into())),
        }));
        Ok(token)
    }

    /// Finds an open call or stream of the root context.
    fn open(&mut self, token: u32) -> Result<&mut OpenGrpc, Status> {
        let (root, _) = self.vm.root().ok_or(Status::BadArgument)?;
        let open = self.vm.grpc.get_mut(&token);
        open.filter(|open| open.root == root)
            .ok_or(Status::NotFound)
    }

    pub(crate) fn send_grpc(
        &mut self,
        token: u32,
        message: &[u8],
        end: bool,
    ) -> Result<(), Status> {
        if token & CALL_KIND != GRPC_STREAM {
            return Err(Status::BadArgument);
        }
        self.open(token)?;
        self.vm.ask(Action::GrpcSend {
            token,
            message: Some(message.to_vec()),
            end,
        });
        Ok(())
    }

    /// Takes a call or a stream back: nothing more comes of it.
    pub(crate) fn cancel_grpc(&mut self, token: u32) -> Result<(), Status> {
        if !matches!(token & CALL_KIND, GRPC_CALL | GRPC_STREAM) {
            return Err(Status::BadArgument);
        }
        self.open(token)?;
        self.vm.grpc.remove(&token);
        self.vm.ask(Action::GrpcCancel { token });
        Ok(())
    }

    /// Takes a call back, or ends this side of a stream.
    pub(crate) fn close_grpc(&mut self, token: u32) -> Result<(), Status> {
        if token & CALL_KIND != GRPC_STREAM {
            return self.cancel_grpc(token);
        }
        let open = self.open(token)?;
        open.local_closed = true;
        if open.remote_closed {
            self.vm.grpc.remove(&token);
        }
        self.vm.ask(Action::GrpcSend {
            token,
            message: None,
            end: true,
        });
        Ok(())
    }
}
