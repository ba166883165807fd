//! What the services behind the proxy do.

use std::fmt;
use std::time::Duration;

use crate::{Request, Response};

/// The services behind the proxy, each a cluster of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cluster {
    /// Where requests go that no other route takes.
    Upstream,
    /// Where the route [`OTHER_ROUTE`](crate::OTHER_ROUTE) leads.
    Other,
    /// A key server, for the calls that filters make; no route leads there.
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

/// What a service does with requests.
pub enum Upstream {
    /// It answers so.
    Answers(Response),
    /// It cannot be reached.
    Unreachable,
    /// It does with each request what this says; see [`Upstream::script`].
    Scripted(Script),
}

/// See [`Upstream::script`].
pub type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

impl Upstream {
    /// Asks this what to do with each request. A retried request is asked for once per attempt.
    pub fn script(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        Self::Scripted(Box::new(script))
    }

    /// Does the same with every request.
    pub fn always(answer: impl Into<Answer>) -> Self {
        let answer = answer.into();
        Self::script(move |_| answer.clone())
    }

    /// Does something else with the first so many requests.
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

/// What a service does with one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it sends; `None` is not even a header.
    pub response: Option<Response>,
    /// How long it waits before that.
    pub delay: Duration,
}

impl Answer {
    /// It closes the connection without a word.
    pub fn reset() -> Self {
        Self {
            response: None,
            delay: Duration::ZERO,
        }
    }

    /// The same, but later.
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
