//! The upstream's end of a stream: Envoy's router.

use std::time::Duration;

use super::{Frame, Stream};
use crate::flags::ResponseFlags;
use crate::local_reply::LocalReply;
use crate::message::{Request, Response};
use crate::state::Direction;
use crate::sync::lock;
use crate::upstream::{
    Answer, AnswerKind, CONNECTION_FAILURE, CONNECTION_FAILURE_DETAILS, CONNECTION_TERMINATION,
    CONNECTION_TERMINATION_DETAILS, Cluster, Handler, NO_HEALTHY_UPSTREAM, RESET_AFTER_DETAILS,
    Target, reset_before_headers,
};
use crate::worker::{Core, Event};

/// How often a request was sent, if the host is to tell.
const ATTEMPT_COUNT: &str = "x-envoy-attempt-count";

/// What the router knows of a stream.
#[derive(Default)]
pub(super) struct Router {
    cluster: Option<Handler>,
    timeout: Duration,
    retry_on: Vec<String>,
    retries: u32,
    /// For `retriable-status-codes`, from the request's header.
    retriable_statuses: Vec<u16>,
    /// For `retriable-headers`, likewise.
    retriable_headers: Vec<String>,
    body: Vec<Vec<u8>>,
    attempts: u32,
    dispatched: Duration,
    answer: Option<AnswerKind>,
    /// The requests that upstreams got.
    pub(super) seen: Vec<Request>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Looks up the route again if a filter wrote request headers since.
    pub(super) fn refresh_route(&mut self, core: &Core) {
        if lock(&self.state).info.route_stale {
            self.resolve_route(core);
        }
    }

    pub(super) fn resolve_route(&mut self, core: &Core) {
        let mut state = lock(&self.state);
        let route = core.shared.route(&state.request_headers);
        state.info.cluster = match route.as_ref().map(|route| &route.target) {
            Some(Target::Cluster(name)) if core.shared.clusters.contains_key(name) => {
                Some(name.clone())
            }
            _ => None,
        };
        state.info.route = route;
        state.info.route_stale = false;
    }

    /// Takes a frame of the request. The upstream gets the request when it is complete.
    pub(super) fn route(&mut self, core: &mut Core, frame: Frame) {
        let end = match frame {
            Frame::Headers { end } => {
                self.choose_upstream(core);
                end
            }
            Frame::Data { bytes, end } => {
                if !bytes.is_empty() {
                    self.router.body.push(bytes);
                }
                end
            }
            Frame::Trailers => true,
        };
        if end && !self.request_ended {
            if !self.router.timeout.is_zero() {
                let event = Event::Timeout { stream: self.id };
                core.schedule(self.router.timeout, event);
            }
            self.dispatch(core);
        }
    }

    fn choose_upstream(&mut self, core: &mut Core) {
        self.refresh_route(core);
        let route = lock(&self.state).info.route.clone();
        let Some(route) = route else {
            return self.fail_request(core, ResponseFlags::NR, 404, "", "route_not_found");
        };
        let cluster = match &route.target {
            Target::Direct(response) => {
                let body = response.body_bytes();
                let reply = LocalReply::new(response.status(), body, "direct_response");
                return self.local_reply(core, &reply);
            }
            Target::Cluster(name) => core.shared.clusters.get(name).cloned(),
        };
        let Some(cluster) = cluster else {
            return self.fail_request(core, ResponseFlags::NC, 503, "", "cluster_not_found");
        };
        self.router.timeout = route.timeout;
        let policy = route.retry.as_ref();
        {
            let headers = &mut lock(&self.state).request_headers;
            let wanted = |name| headers.get(name).map(str::to_owned);
            let (wanted, wanted_of_grpc) =
                (wanted("x-envoy-retry-on"), wanted("x-envoy-retry-grpc-on"));
            let count = headers.get("x-envoy-max-retries");
            let count = count.and_then(|count| count.parse().ok());
            let count = count.or_else(|| policy.map(|policy| policy.count));
            self.router.retries = count.unwrap_or(1);
            self.router.retry_on = [
                policy.map(|policy| policy.on.clone()),
                wanted,
                wanted_of_grpc,
            ]
            .iter()
            .flatten()
            .flat_map(|conditions| conditions.split(','))
            .map(|condition| condition.trim().to_owned())
            .collect();
            let list = |name: &str| {
                let list = headers.get(name).unwrap_or_default().split(',');
                list.map(|item| item.trim().to_owned()).collect::<Vec<_>>()
            };
            let statuses = list("x-envoy-retriable-status-codes").into_iter();
            let statuses = statuses.filter_map(|status| status.parse().ok());
            self.router.retriable_statuses = statuses.collect();
            self.router.retriable_headers = list("x-envoy-retriable-header-names");
            for name in [
                "x-envoy-retry-on",
                "x-envoy-retry-grpc-on",
                "x-envoy-max-retries",
                "x-envoy-retriable-status-codes",
                "x-envoy-retriable-header-names",
            ] {
                headers.remove(name);
            }
            let timeout = route.timeout.as_millis().to_string();
            headers.set("x-envoy-expected-rq-timeout-ms", timeout);
            if core.shared.attempt_counts {
                headers.set(ATTEMPT_COUNT, "1");
            }
        }
        match cluster {
            Cluster::Hosts(handler) => self.router.cluster = Some(handler),
            Cluster::Empty => {
                lock(&self.state).info.attempts = 1;
                self.fail_unhealthy(core);
            }
        }
    }

    /// Sends the request to the upstream, and schedules its answer.
    fn dispatch(&mut self, core: &mut Core) {
        let Some(handler) = self.router.cluster.clone() else {
            return;
        };
        self.router.attempts += 1;
        let request = {
            let mut state = lock(&self.state);
            state.info.attempts = self.router.attempts;
            state.info.upstream_chosen = true;
            if core.shared.attempt_counts {
                let attempts = self.router.attempts.to_string();
                state.request_headers.set(ATTEMPT_COUNT, attempts);
            }
            let mut request = Request::get("/").protocol(state.info.protocol);
            request.headers = state.request_headers.clone();
            request.trailers = state.request_trailers.clone();
            request.chunks = self.router.body.clone();
            request
        };
        let Answer { kind, delay } = handler(&request);
        self.router.seen.push(request);
        self.router.dispatched = core.shared.clock.monotonic();
        if matches!(kind, AnswerKind::NoHealthyUpstream) {
            self.router.seen.pop();
            lock(&self.state).info.upstream_chosen = false;
        }
        if matches!(kind, AnswerKind::Never) {
            return;
        }
        self.router.answer = Some(kind);
        let event = Event::Upstream {
            stream: self.id,
            attempt: self.router.attempts,
        };
        core.schedule(delay, event);
    }

    /// The time of an attempt's answer has come.
    pub(crate) fn upstream_answers(&mut self, core: &mut Core, attempt: u32) {
        if attempt != self.router.attempts || self.response_started() {
            return;
        }
        let Some(answer) = self.router.answer.take() else {
            return;
        };
        if self.is_retriable(&answer) {
            if self.router.retries > 0 {
                self.router.retries -= 1;
                return self.dispatch(core);
            }
            lock(&self.state).info.flags |= ResponseFlags::URX;
        }
        match answer {
            AnswerKind::Response(response) => self.start_response(core, response, true),
            AnswerKind::ResetAfter(response) => {
                self.start_response(core, response, false);
                self.fail_with(ResponseFlags::UPE, RESET_AFTER_DETAILS);
                self.abort(core);
            }
            AnswerKind::Reset => {
                let details = CONNECTION_TERMINATION_DETAILS;
                self.fail_attempt(core, ResponseFlags::UC, CONNECTION_TERMINATION, details);
            }
            AnswerKind::ConnectFailure => {
                let details = CONNECTION_FAILURE_DETAILS;
                self.fail_attempt(core, ResponseFlags::UF, CONNECTION_FAILURE, details);
            }
            AnswerKind::NoHealthyUpstream => self.fail_unhealthy(core),
            AnswerKind::Never => {}
        }
    }

    /// The route's time for a response is over.
    pub(crate) fn upstream_timed_out(&mut self, core: &mut Core) {
        if !self.response_started() {
            let body = "upstream request timeout";
            self.fail_request(core, ResponseFlags::UT, 504, body, "response_timeout");
        }
    }

    fn response_started(&self) -> bool {
        lock(&self.state).response_headers.is_some()
    }

    fn is_retriable(&self, answer: &AnswerKind) -> bool {
        let broke_off = matches!(answer, AnswerKind::Reset | AnswerKind::ConnectFailure);
        let response = match answer {
            AnswerKind::Response(response) | AnswerKind::ResetAfter(response) => Some(response),
            _ => None,
        };
        let status = response.map_or(0, Response::status);
        // Envoy looks for it in the headers only.
        let has_grpc_status = |status: &str| {
            response.is_some_and(|response| response.headers.get("grpc-status") == Some(status))
        };
        let has = |name: &String| {
            response.is_some_and(|response| response.headers.get(name.as_str()).is_some())
        };
        self.router
            .retry_on
            .iter()
            .any(|condition| match condition.as_str() {
                "5xx" => broke_off || status >= 500,
                "gateway-error" => broke_off || matches!(status, 502..=504),
                "reset" => broke_off,
                "connect-failure" => matches!(answer, AnswerKind::ConnectFailure),
                "retriable-4xx" => status == 409,
                "retriable-status-codes" => self.router.retriable_statuses.contains(&status),
                "retriable-headers" => self.router.retriable_headers.iter().any(has),
                "cancelled" => has_grpc_status("1"),
                "deadline-exceeded" => has_grpc_status("4"),
                "resource-exhausted" => has_grpc_status("8"),
                "internal" => has_grpc_status("13"),
                "unavailable" => has_grpc_status("14"),
                _ => false,
            })
    }

    fn fail_attempt(&mut self, core: &mut Core, flag: ResponseFlags, reason: &str, details: &str) {
        let body = reset_before_headers(reason, self.router.attempts > 1);
        self.fail_request(core, flag, 503, &body, details);
    }

    fn fail_unhealthy(&mut self, core: &mut Core) {
        let details = "no_healthy_upstream";
        self.fail_request(core, ResponseFlags::UH, 503, NO_HEALTHY_UPSTREAM, details);
    }

    fn fail_request(
        &mut self,
        core: &mut Core,
        flag: ResponseFlags,
        code: u16,
        body: &str,
        details: &str,
    ) {
        let mut reply = LocalReply::new(code, body, details);
        {
            let info = &mut lock(&self.state).info;
            info.flags |= flag;
            if core.shared.attempt_counts && info.attempts > 0 {
                reply.headers.set(ATTEMPT_COUNT, info.attempts.to_string());
            }
        }
        self.local_reply(core, &reply);
    }

    /// Sends a response through the filters; without `complete`, all of it but its end.
    fn start_response(&mut self, core: &mut Core, response: Response, complete: bool) {
        let elapsed = core.shared.clock.monotonic() - self.router.dispatched;
        let Response {
            mut headers,
            chunks,
            trailers,
            properties,
        } = response;
        let milliseconds = elapsed.as_millis().to_string();
        headers.set("x-envoy-upstream-service-time", milliseconds);
        if core.shared.attempt_counts {
            headers.set(ATTEMPT_COUNT, self.router.attempts.to_string());
        }
        let head = {
            let mut state = lock(&self.state);
            let status = headers
                .get(":status")
                .and_then(|status| status.parse().ok());
            state.info.properties.extend(properties);
            state.info.response_code = status;
            state.info.code_details = Some(b"via_upstream".to_vec());
            state.info.backend_latency = complete.then_some(elapsed);
            state.response_headers = Some(headers);
            state.response_trailers = (!trailers.is_empty()).then(|| trailers.clone());
            state.is_head()
        };
        let mut frames = Vec::new();
        if !head {
            let pieces = chunks.into_iter();
            frames.extend(pieces.map(|bytes| Frame::Data { bytes, end: false }));
            if !trailers.is_empty() {
                frames.push(Frame::Trailers);
            } else if !frames.is_empty() {
                frames.push(Frame::end_of_body());
            }
        }
        if !complete {
            frames.retain(|frame| matches!(frame, Frame::Data { end: false, .. }));
        }
        let end = complete && frames.is_empty();
        self.pass(core, Direction::Response, 0, Frame::Headers { end });
        for frame in frames {
            self.pass(core, Direction::Response, 0, frame);
        }
    }
}
