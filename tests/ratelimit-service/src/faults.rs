//! Faults on request, for all calls from then on.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};

/// How calls fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// They do not.
    #[default]
    None,
    /// They are counted, and the answer is sent after this time.
    Delay(Duration),
    /// They are not counted, and there is no answer.
    Silence,
    /// They are not counted, and the answer's message cannot be read.
    Garbage,
    /// They are not counted, and the answer is gRPC's `UNAVAILABLE`.
    Unavailable,
    /// They are not counted, and the answer is gRPC's `UNIMPLEMENTED`, as from a service without the method.
    Unimplemented,
}

/// `none`, `silence`, `garbage`, `unavailable`, `unimplemented`, or `delay:200` (in milliseconds).
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let delay = || text.strip_prefix("delay:")?.parse().ok();
        match text {
            "none" => Ok(Self::None),
            "silence" => Ok(Self::Silence),
            "garbage" => Ok(Self::Garbage),
            "unavailable" => Ok(Self::Unavailable),
            "unimplemented" => Ok(Self::Unimplemented),
            _ => match delay() {
                Some(milliseconds) => Ok(Self::Delay(Duration::from_millis(milliseconds))),
                None => Err(format!(
                    "{text:?} is not none, silence, garbage, unavailable, unimplemented or delay:<milliseconds>"
                )),
            },
        }
    }
}

/// The current fault, and the number of calls, for all copies.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<State>);

#[derive(Debug, Default)]
struct State {
    fault: Mutex<Fault>,
    calls: AtomicU64,
}

impl Control {
    /// Makes calls fail in this way.
    pub fn set(&self, fault: Fault) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The number of calls so far, failed or not.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    fn fault(&self) -> Fault {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gRPC service with faults.
#[derive(Clone)]
pub(crate) struct Faulty<S> {
    pub(crate) inner: S,
    pub(crate) control: Control,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.control.0.calls.fetch_add(1, Ordering::Relaxed);
        match self.control.fault() {
            Fault::None => Box::pin(self.inner.call(request)),
            Fault::Delay(delay) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let answer = answer.await;
                    tokio::time::sleep(delay).await;
                    answer
                })
            }
            Fault::Silence => Box::pin(pending()),
            Fault::Garbage => Box::pin(async { Ok(garbage()) }),
            Fault::Unimplemented => {
                Box::pin(async { Ok(Status::unimplemented("a fault on request").into_http()) })
            }
            Fault::Unavailable => {
                Box::pin(async { Ok(Status::unavailable("a fault on request").into_http()) })
            }
        }
    }
}

/// A message of five bytes, a field whose length is beyond its end, and the status `OK`.
fn garbage() -> Response<Body> {
    let frame = Bytes::from_static(b"\0\0\0\0\x05\x12\xff\xff\xff\x7f");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_text() {
        let delay = Fault::Delay(Duration::from_millis(200));
        assert_eq!("delay:200".parse(), Ok(delay));
        assert_eq!("silence".parse(), Ok(Fault::Silence));
        for wrong in ["delay:", "delay:-1", "Silence", ""] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong:?}");
        }
    }
}
