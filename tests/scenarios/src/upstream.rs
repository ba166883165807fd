//! The behaviour of the services behind the proxy.

use std::fmt;
use std::time::Duration;

use crate::{Request, Response};

/// The services behind the proxy, each a cluster of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cluster {
    /// The default destination of requests.
    Upstream,
    /// The destination of [`OTHER_ROUTE`](crate::OTHER_ROUTE).
    Other,
    /// A key server for calls from filters. No route leads there.
    Idp,
}

impl Cluster {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Upstream, Self::Other, Self::Idp];

    /// The cluster's name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Other => "other",
            Self::Idp => "idp",
        }
    }
}

/// The behaviour of a service.
pub enum Upstream {
    /// It sends this response to every request.
    Answers(Response),
    /// It is unreachable.
    Unreachable,
    /// A script decides for each request; see [`Upstream::script`].
    Scripted(Script),
}

/// See [`Upstream::script`].
pub type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

impl Upstream {
    /// Calls `script` for each request, and for each attempt of a retried request.
    pub fn script(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        Self::Scripted(Box::new(script))
    }

    /// Gives the same answer to every request.
    pub fn always(answer: impl Into<Answer>) -> Self {
        let answer = answer.into();
        Self::script(move |_| answer.clone())
    }

    /// Gives the first requests a different answer.
    pub fn at_first(times: usize, first: impl Into<Answer>, afterwards: impl Into<Answer>) -> Self {
        let (first, afterwards) = (first.into(), afterwards.into());
        let mut left = times;
        Self::script(move |_| match left.checked_sub(1) {
            Some(rest) => {
                left = rest;
                first.clone()
            }
            None => afterwards.clone(),
        })
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers(response) => f.debug_tuple("Answers").field(response).finish(),
            Self::Unreachable => f.write_str("Unreachable"),
            Self::Scripted(_) => f.write_str("Scripted"),
        }
    }
}

/// The answer of a service to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The response; `None` closes the connection without sending anything.
    pub response: Option<Response>,
    /// The delay before the response.
    pub delay: Duration,
}

impl Answer {
    /// Closes the connection without sending anything.
    pub fn reset() -> Self {
        Self {
            response: None,
            delay: Duration::ZERO,
        }
    }

    /// Delays the answer.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            response: Some(response),
            delay: Duration::ZERO,
        }
    }
}
