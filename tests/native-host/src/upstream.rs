//! Clusters, routes, and what an upstream answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::grpc::service::{GrpcReply, GrpcRequest};
use crate::message::{Request, Response};

/// What comes back from an upstream, for a routed request and for a filter's HTTP call alike.
///
/// A [`Response`] is an answer; the others are what goes wrong. Every answer comes at once unless
/// it is put [`after`](Self::after) some virtual time.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) kind: AnswerKind,
    pub(crate) delay: Duration,
}

#[derive(Clone, Debug)]
pub(crate) enum AnswerKind {
    Response(Response),
    ResetAfter(Response),
    Reset,
    ConnectFailure,
    NoHealthyUpstream,
    Never,
}

impl Answer {
    /// The connection is refused: 503 with flag `UF`.
    pub fn connect_failure() -> Self {
        AnswerKind::ConnectFailure.into()
    }

    /// The upstream closes the connection before it answers: 503 with flag `UC`.
    pub fn reset() -> Self {
        AnswerKind::Reset.into()
    }

    /// The upstream sends this much of its response and then breaks off: the client's response
    /// breaks off too, with flag `UPE`.
    pub fn reset_after(response: Response) -> Self {
        AnswerKind::ResetAfter(response).into()
    }

    /// No host of the cluster is healthy: 503 with flag `UH`. For HTTP calls see
    /// [`HostBuilder::empty_cluster`](crate::HostBuilder::empty_cluster).
    pub fn no_healthy_upstream() -> Self {
        AnswerKind::NoHealthyUpstream.into()
    }

    /// The upstream never answers; the route's timeout makes it 504 with flag `UT`. The call of a filter
    /// can be answered by hand then; see [`Host::pending_calls`](crate::Host::pending_calls).
    pub fn never() -> Self {
        AnswerKind::Never.into()
    }

    /// Lets virtual time pass before the answer; see [`Host::advance`](crate::Host::advance).
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<AnswerKind> for Answer {
    fn from(kind: AnswerKind) -> Self {
        Self {
            kind,
            delay: Duration::ZERO,
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        AnswerKind::Response(response).into()
    }
}

/// What answers the requests to a cluster.
#[derive(Clone)]
pub(crate) enum Cluster {
    /// Hosts that answer.
    Hosts(Handler),
    /// A cluster without hosts.
    Empty,
}

/// A test's gRPC service.
#[derive(Clone)]
pub(crate) struct Service(pub(crate) Arc<dyn Fn(&GrpcRequest) -> GrpcReply + Send + Sync>);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

/// A test's upstream.
pub(crate) type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

impl Cluster {
    pub(crate) fn answering<A: Into<Answer>>(
        handler: impl Fn(&Request) -> A + Send + Sync + 'static,
    ) -> Self {
        Self::Hosts(Arc::new(move |request| handler(request).into()))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hosts(_) => "Hosts",
            Self::Empty => "Empty",
        })
    }
}

/// One entry of the route table. The first whose prefix fits `:path` is taken; without any, the
/// router answers 404 with flag `NR`.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) header: Option<(String, String)>,
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) retry: Option<Retry>,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Cluster(String),
    Direct(Response),
}

#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub(crate) on: String,
    pub(crate) count: u32,
}

impl Route {
    /// A route for every path to the cluster `upstream`, with Envoy's default timeout of 15 s.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefix: "/".to_owned(),
            header: None,
            target: Target::Cluster("upstream".to_owned()),
            timeout: Duration::from_secs(15),
            retry: None,
        }
    }

    /// Restricts the route to paths that begin with this.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// Restricts the route to requests that have this header with exactly this value.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.header = Some((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sends requests to this cluster. One that does not exist gives 503 with flag `NC`.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.target = Target::Cluster(cluster.to_owned());
        self
    }

    /// Answers by itself; only the status and the body of the response are used.
    pub fn direct_response(mut self, response: Response) -> Self {
        self.target = Target::Direct(response);
        self
    }

    /// How long the upstream may take from the end of the request; zero is for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Retries up to `count` times on these conditions: `5xx`, `gateway-error`, `connect-failure`,
    /// `reset`, `retriable-4xx`, separated by commas.
    pub fn retry(mut self, on: &str, count: u32) -> Self {
        self.retry = Some(Retry {
            on: on.to_owned(),
            count,
        });
        self
    }
}

/// What the router says when there is no response.
pub(crate) const NO_HEALTHY_UPSTREAM: &str = "no healthy upstream";

/// What the router says when an upstream broke off before its response, for this reason.
pub(crate) fn reset_before_headers(reason: &str, retried: bool) -> String {
    let retried = if retried {
        "retried and the latest "
    } else {
        ""
    };
    format!(
        "upstream connect error or disconnect/reset before headers. {retried}reset reason: {reason}"
    )
}

/// Reasons for [`reset_before_headers`], each with the response's details.
pub(crate) const CONNECTION_TERMINATION: &str = "connection termination";
pub(crate) const CONNECTION_TERMINATION_DETAILS: &str =
    "upstream_reset_before_response_started{connection_termination}";
pub(crate) const CONNECTION_FAILURE: &str = "remote connection failure";
pub(crate) const CONNECTION_FAILURE_DETAILS: &str = "upstream_reset_before_response_started\
    {remote_connection_failure|delayed_connect_error:_Connection_refused}";

/// The details of a response that broke off.
pub(crate) const RESET_AFTER_DETAILS: &str =
    "upstream_reset_after_response_started{protocol_error}";

impl AnswerKind {
    /// What a filter's HTTP call gets: a failed connection is a response like any other, and only
    /// one that breaks off in the middle is none.
    pub(crate) fn as_call_response(&self, delay: Duration, is_grpc: bool) -> Option<Response> {
        let text = match self {
            Self::Response(response) => {
                let mut response = response.clone();
                let milliseconds = delay.as_millis().to_string();
                let headers = &mut response.headers;
                headers.add("x-envoy-upstream-service-time", milliseconds);
                return Some(response);
            }
            Self::ResetAfter(_) | Self::Never => return None,
            Self::Reset => reset_before_headers(CONNECTION_TERMINATION, false),
            Self::ConnectFailure => reset_before_headers(CONNECTION_FAILURE, false),
            Self::NoHealthyUpstream => NO_HEALTHY_UPSTREAM.to_owned(),
        };
        Some(Response::local_for(is_grpc, 503, &text))
    }
}
