//! Calls to other services.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::headers::HeaderMap;

use crate::error::Error;

/// An HTTP request from the plugin to one of Envoy's clusters.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The headers, with `:method`, `:scheme`, `:authority` and `:path`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; empty for none.
    pub body: &'a [u8],
    /// The time limit for the whole response. Envoy counts it in milliseconds, and answers with 504 after it. Zero is no
    /// limit.
    pub timeout: Duration,
    /// Comes back with the response.
    pub memo: Option<&'a Memo>,
}

impl Call<'_> {
    /// The time limit in milliseconds, at most what all hosts accept. Less than one is not zero, which is no limit.
    pub fn timeout_milliseconds(&self) -> u32 {
        const MAX: u32 = i32::MAX as u32;

        let rounded = self.timeout.as_nanos().div_ceil(1_000_000);
        u32::try_from(rounded).map_or(MAX, |rounded| rounded.min(MAX))
    }
}

/// The plugin's own value of a call. The response may arrive in another thread than the one that has called, so it
/// holds what is needed to account for the response, and a place for the result if a request waits for it.
pub type Memo = Arc<dyn Any + Send + Sync>;

/// Identifies a call, to match its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl CallId {
    /// From the number that Envoy, or the back end, gave the call.
    pub fn new(number: u64) -> Self {
        Self(number)
    }
}

/// The response to a call. If the cluster cannot be reached, Envoy answers with 503; after the timeout, with 504. Its
/// answers to gRPC calls are those of gRPC.
#[derive(Clone, Debug, Default)]
pub struct CallResponse {
    /// The headers, with `:status`; `None` if the response was cut off, or if the call was not sent.
    pub headers: Option<HeaderMap>,
    /// The body, truncated to one byte more than [`Plugin::max_call_body`](crate::Plugin::max_call_body).
    pub body: Vec<u8>,
    /// The trailers; `None` if there are none, or if the host does not show any.
    pub trailers: Option<HeaderMap>,
    /// The reason why the call was not sent, if that became known only after the call was made.
    pub not_sent: Option<Error>,
    /// That of the call.
    pub memo: Option<Memo>,
}

impl CallResponse {
    /// The status, if the response is whole.
    pub fn status(&self) -> Option<u16> {
        let status = self.headers.as_ref()?.get(":status")?;
        std::str::from_utf8(status).ok()?.parse().ok()
    }

    /// The memo of the call, if it has this type.
    pub fn memo<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::downcast(Arc::clone(self.memo.as_ref()?)).ok()
    }
}

/// A [`Call`] that owns its parts, for back ends that send it later.
#[derive(Clone, Debug)]
pub struct OwnedCall {
    cluster: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
    memo: Option<Memo>,
}

impl OwnedCall {
    /// A copy of a call.
    pub fn new(call: &Call<'_>) -> Self {
        let headers = call.headers.iter();
        Self {
            cluster: call.cluster.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: call.body.to_vec(),
            timeout: call.timeout,
            memo: call.memo.cloned(),
        }
    }

    /// Does something with the call.
    pub fn with<T>(&self, act: impl FnOnce(&Call<'_>) -> T) -> T {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        act(&Call {
            cluster: &self.cluster,
            headers: &headers,
            body: &self.body,
            timeout: self.timeout,
            memo: self.memo.as_ref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_never_rounded_to_none() {
        for (timeout, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1500), 2),
            (Duration::from_millis(50), 50),
            (Duration::MAX, i32::MAX as u32),
        ] {
            let call = Call {
                cluster: "",
                headers: &[],
                body: &[],
                timeout,
                memo: None,
            };
            assert_eq!(call.timeout_milliseconds(), expected);
        }
    }
}
