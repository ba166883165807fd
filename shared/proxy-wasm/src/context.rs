//! The context of one HTTP stream: it passes Envoy's callbacks on.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use portcullis_core::reply::Reply;
use portcullis_host::backend::StreamHost as _;
use portcullis_host::{Chain, HttpStream, Next, Runner};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::calls::RootCalls;
use crate::host::ContextStream;
use crate::logger;

/// The reply to every message that Envoy gives to a module without a configuration.
fn not_configured() -> Reply {
    Reply {
        status: 503,
        grpc_status: None,
        details: "not_configured".into(),
        headers: Vec::new(),
        body: "Service unavailable\n".into(),
    }
}

thread_local! {
    /// Whether this VM has logged that it has no configuration.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// One HTTP stream.
pub(crate) struct StreamContext<C: Chain> {
    id: u32,
    calls: Rc<RootCalls>,
    /// `None` if Envoy never configured the module: nothing passes then.
    stream: Option<Rc<HttpStream<C, ContextStream>>>,
    has_refused: bool,
}

impl<C: Chain> StreamContext<C> {
    pub(crate) fn new(id: u32, calls: &Rc<RootCalls>, runner: Option<Rc<Runner<C>>>) -> Self {
        let host = || ContextStream {
            id,
            calls: Rc::clone(calls),
        };
        let stream = runner.map(|runner| {
            Rc::new_cyclic(|stream: &Weak<HttpStream<C, ContextStream>>| {
                HttpStream::new(runner, host(), Weak::clone(stream) as _)
            })
        });
        Self {
            id,
            calls: Rc::clone(calls),
            stream,
            has_refused: false,
        }
    }

    /// Answers a message for which there is no configuration, once in a stream: the reply itself passes.
    fn refuse(&mut self) -> Action {
        if self.has_refused {
            return Action::Continue;
        }
        self.has_refused = true;
        // If Envoy does not accept the reply, the message is held.
        let host = ContextStream {
            id: self.id,
            calls: Rc::clone(&self.calls),
        };
        let _ = host.reply(&not_configured());
        if !HAS_REFUSED.replace(true) {
            logger::init();
            let name = C::NAME;
            log::error!(
                "portcullis {name}: every message is refused: Envoy never called proxy_on_configure"
            );
        }
        Action::Pause
    }
}

fn action(next: Next) -> Action {
    match next {
        Next::Continue => Action::Continue,
        Next::Hold => Action::Pause,
    }
}

/// The SDK drops the context in `proxy_on_delete`, in which host calls still act on the stream.
impl<C: Chain> Drop for StreamContext<C> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.close();
        }
    }
}

impl<C: Chain> Context for StreamContext<C> {}

impl<C: Chain> HttpContext for StreamContext<C> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match &self.stream {
            Some(stream) => action(stream.request_headers(end_of_stream)),
            None => self.refuse(),
        }
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if let Some(stream) = &self.stream
            && end_of_stream
        {
            stream.request_end();
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Some(stream) = &self.stream {
            stream.request_end();
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match &self.stream {
            Some(stream) => action(stream.response_headers()),
            None => self.refuse(),
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(stream) = &self.stream {
            stream.response_trailers();
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(stream) = &self.stream {
            stream.log();
        }
    }
}
