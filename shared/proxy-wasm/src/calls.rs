//! Calls to other services.
//!
//! To Envoy, every call belongs to the root context, and outlives the stream that made it. The SDK delivers the response
//! to the context whose callback made the call, or to nobody if that is a stream that has ended. So a call of a stream is
//! made in a callback of the root context, which this crate calls through the SDK, as Envoy would: `proxy_on_queue_ready`,
//! which has no other use here.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use portcullis_host::{Call, CallId, Error, Memo, OwnedCall, Status};

use crate::abi;
use crate::host::act_on;
use crate::timer::Timer;

const CALL: &str = "proxy_http_call";

/// The calls of a root context, and its timer.
pub(crate) struct RootCalls {
    root: u32,
    pub(crate) timer: Timer,
    /// Whether Envoy has not deleted the context.
    exists: Cell<bool>,
    /// Whether Envoy lets this context act on others, once that was tried. Otherwise the SDK would panic when a response
    /// arrives.
    can_act: Cell<Option<Result<(), Error>>>,
    memos: RefCell<BTreeMap<CallId, Memo>>,
}

thread_local! {
    /// The root context whose callback runs.
    static CURRENT: RefCell<Option<Rc<RootCalls>>> = const { RefCell::new(None) };
    /// The call that a stream makes, and then its result.
    static REQUESTED: RefCell<Option<OwnedCall>> = const { RefCell::new(None) };
    static MADE: Cell<Option<Result<CallId, Error>>> = const { Cell::new(None) };
}

/// Ends the callback of a root context when it is dropped.
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl RootCalls {
    pub(crate) fn new(root: u32) -> Rc<Self> {
        Rc::new(Self {
            root,
            timer: Timer::default(),
            exists: Cell::new(true),
            can_act: Cell::new(None),
            memos: RefCell::default(),
        })
    }

    /// A callback of the root context begins.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        CURRENT.set(Some(Rc::clone(self)));
        Entered(())
    }

    /// Envoy deletes the root context.
    pub(crate) fn end(&self) {
        self.exists.set(false);
        self.memos.take();
    }

    /// The memo of a call, whose response has arrived.
    pub(crate) fn take_memo(&self, call: CallId) -> Option<Memo> {
        self.memos.borrow_mut().remove(&call)
    }

    /// Makes a call of the stream in whose place this VM acts.
    pub(crate) fn call(&self, stream: u32, call: &Call<'_>) -> Result<CallId, Error> {
        self.check_acting(stream)?;
        let current = CURRENT.with_borrow(|current| current.as_ref().map(|it| it.root));
        match current {
            // The root context judges a waiting request.
            Some(root) if root == self.root => make(call),
            None if self.exists.get() => {
                REQUESTED.set(Some(OwnedCall::new(call)));
                abi::enter_root(self.root);
                REQUESTED.take();
                MADE.take().unwrap_or_else(|| Err(refused()))
            }
            // Streams of other root contexts are judged in their own callbacks only.
            Some(_) | None => Err(refused()),
        }
    }

    fn check_acting(&self, stream: u32) -> Result<(), Error> {
        if let Some(known) = self.can_act.get() {
            return known;
        }
        let tried = act_on(self.root).and_then(|()| act_on(stream));
        self.can_act.set(Some(tried));
        tried
    }
}

fn refused() -> Error {
    Error::of(CALL)(Status::InternalFailure)
}

/// Makes the call that a stream has requested, in a callback of the root context.
pub(crate) fn make_requested() {
    if let Some(requested) = REQUESTED.take() {
        MADE.set(Some(requested.with(make)));
    }
}

/// Makes a call in a callback of the root context.
pub(crate) fn make(call: &Call<'_>) -> Result<CallId, Error> {
    let body = Some(call.body).filter(|body| !body.is_empty());
    // The SDK delivers only the responses of calls that were made through it. It panics on any status other than
    // BadArgument and InternalFailure, and Envoy returns no other.
    #[expect(
        clippy::disallowed_methods,
        reason = "the SDK would not deliver the response otherwise"
    )]
    let dispatched = proxy_wasm::hostcalls::dispatch_http_call(
        call.cluster,
        call.headers.to_vec(),
        body,
        Vec::new(),
        Duration::from_millis(call.timeout_milliseconds().into()),
    );
    let id = dispatched
        .map(|token| CallId::new(token.into()))
        .map_err(|status| Error::of(CALL)(abi::status(status as u32)))?;
    if let Some(memo) = call.memo {
        CURRENT.with_borrow(|current| {
            if let Some(current) = current {
                current.memos.borrow_mut().insert(id, Memo::clone(memo));
            }
        });
    }
    Ok(id)
}
