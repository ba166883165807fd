//! Calls to other services.

use std::time::Duration;

use super::Guest;
use crate::headers::Headers;
use crate::message::Request;
use crate::status::Status;
use crate::upstream::Cluster;
use crate::vm::{Action, CallKind, OutgoingCall, is_complete_request};

impl Guest<'_> {
    /// Starts an HTTP call. Whatever context makes it, it belongs to the root context: its outcome
    /// comes even after the stream is gone.
    pub(crate) fn http_call(
        &mut self,
        cluster: &[u8],
        headers: &[u8],
        body: &[u8],
        trailers: &[u8],
        timeout_milliseconds: u32,
    ) -> Result<u32, Status> {
        let (root, _) = self.vm.root().ok_or(Status::BadArgument)?;
        let cluster = String::from_utf8_lossy(cluster).into_owned();
        let headers = Headers::from_pairs(headers);
        let target = self.shared.clusters.get(&cluster);
        if target.is_none() && !self.shared.services.contains_key(&cluster) {
            return Err(Status::BadArgument);
        }
        if i32::try_from(timeout_milliseconds).is_err() || !is_complete_request(&headers) {
            return Err(Status::BadArgument);
        }
        if matches!(target, Some(Cluster::Empty)) {
            return Err(Status::InternalFailure);
        }
        let mut request = Request::get("/");
        request.headers = headers;
        if !body.is_empty() {
            request = request.body(body);
        }
        request.trailers = Headers::from_pairs(trailers);
        request.headers.set("x-envoy-internal", "true");
        let timeout = Duration::from_millis(timeout_milliseconds.into());
        if !timeout.is_zero() {
            request.headers.set(
                "x-envoy-expected-rq-timeout-ms",
                timeout_milliseconds.to_string(),
            );
        }
        let token = self.vm.next_call_token();
        self.vm.ask(Action::Call(OutgoingCall {
            kind: CallKind::Http,
            root,
            token,
            cluster,
            request,
            timeout: (!timeout.is_zero()).then_some(timeout),
        }));
        Ok(token)
    }

    /// Why the call failed whose callback is running.
    pub(crate) fn call_status(&self) -> Result<(u32, Vec<u8>), Status> {
        let (_, root) = self.vm.root().ok_or(Status::BadArgument)?;
        let (code, message) = &root.call_status;
        Ok((*code, message.as_bytes().to_vec()))
    }
}
