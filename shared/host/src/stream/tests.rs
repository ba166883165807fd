use std::time::Duration;

use portcullis_core::config::{Document, Errors};
use portcullis_core::headers::Received;
use portcullis_core::policy::References;
use portcullis_core::short_text::ShortText;

use super::*;
use crate::backend::Map;
use crate::call::{Call, CallId, CallResponse};
use crate::callback_monitor::CallbackMonitor;
use crate::chain::Summary;
use crate::property::Property;
use crate::worker::{Woken, Worker};

/// A chain whose requests wait once, and whose callbacks then panic as often as a test says.
#[derive(Default)]
struct Waits {
    /// How often it has judged a request.
    judged: Cell<usize>,
    /// What it decides about a request that has waited.
    refuses: bool,
    is_blind: bool,
    request_panics: Cell<usize>,
    response_panics: Cell<usize>,
    error_panics: Cell<usize>,
}

fn panic_if_left(panics: &Cell<usize>) {
    let left = panics.get();
    if left > 0 {
        panics.set(left - 1);
        panic!("a test asks for it");
    }
}

fn reply(status: u16) -> Reply {
    Reply {
        status,
        grpc_status: None,
        details: Bytes::new(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

impl Chain for Waits {
    const NAME: &'static str = "waits";
    type Config = ();
    /// Whether the request has waited.
    type Stream = bool;

    fn read(_: Document) -> Result<(), Errors> {
        Ok(())
    }

    fn example() -> Result<(), Errors> {
        Ok(())
    }

    fn references((): ()) -> References {
        References::default()
    }

    fn new((): ()) -> Self {
        Self::default()
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn needs_stream_end(&self) -> bool {
        false
    }

    fn sees_responses(&self) -> bool {
        !self.is_blind
    }

    fn sees_end(&self) -> bool {
        false
    }

    fn on_error(&self, _: &mut bool, _: &mut Exchange, _: Failure) -> Flow {
        panic_if_left(&self.error_panics);
        Flow::reply(reply(500))
    }

    fn on_request(&self, has_waited: &mut bool, _: &mut Exchange) -> Result<Flow, Error> {
        self.judged.set(self.judged.get() + 1);
        if !*has_waited {
            *has_waited = true;
            return Ok(Flow::Wait);
        }
        panic_if_left(&self.request_panics);
        Ok(match self.refuses {
            true => Flow::reply(reply(403)),
            false => Flow::Continue,
        })
    }

    fn on_request_end(&self, _: &mut bool, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn on_response(&self, _: &mut bool, _: &mut Exchange) -> Result<Flow, Error> {
        panic_if_left(&self.response_panics);
        Ok(Flow::Continue)
    }

    fn on_trailers(&self, _: &mut bool, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn on_log(&self, _: &mut bool, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn tick_period(&self) -> Option<Duration> {
        None
    }

    fn tick_while_waiting(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn on_tick(&self, _: &mut Worker) -> Result<(), Error> {
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        0
    }

    fn on_call_response(&self, _: &mut Worker, _: CallId, _: &CallResponse) -> Result<(), Error> {
        Ok(())
    }
}

/// What Envoy was told about a stream.
#[derive(Default)]
struct Told {
    replies: RefCell<Vec<(u16, Bytes)>>,
    resumed: Cell<usize>,
    waiting: Cell<usize>,
}

struct Envoy(Rc<Told>);

impl StreamHost for Envoy {
    fn headers(&self, _: Map, _: &mut Received) -> Result<(), Error> {
        Ok(())
    }

    fn set_header(&self, _: Map, _: &[u8], _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn add_header(&self, _: Map, _: &[u8], _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn remove_header(&self, _: Map, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn text(&self, _: Property) -> Result<Option<ShortText>, Error> {
        Ok(None)
    }

    fn number(&self, _: Property) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn metadata(&self, _: &str, _: &str) -> Result<Option<f64>, Error> {
        Ok(None)
    }

    fn set_filter_state(&self, _: &str, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn reply(&self, reply: &Reply) -> Result<(), Error> {
        let mut replies = self.0.replies.borrow_mut();
        replies.push((reply.status, reply.details.clone()));
        Ok(())
    }

    fn shows_own_replies(&self) -> bool {
        false
    }

    fn call(&self, _: &Call<'_>) -> Result<CallId, Error> {
        Err(Error::Malformed)
    }

    fn begin_wait(&self, _: bool, _: Duration) {
        self.0.waiting.set(self.0.waiting.get() + 1);
    }

    fn end_wait(&self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }

    fn enter(&self) -> Result<(), Error> {
        Ok(())
    }

    fn resume(&self) -> Result<(), Error> {
        self.0.resumed.set(self.0.resumed.get() + 1);
        Ok(())
    }
}

/// A request that waits.
struct Waiting {
    told: Rc<Told>,
    stream: Rc<HttpStream<Waits, Envoy>>,
}

impl Waiting {
    fn new(runner: &Rc<Runner<Waits>>) -> Self {
        let told = Rc::new(Told::default());
        let stream = Rc::new_cyclic(|this: &Weak<HttpStream<Waits, Envoy>>| {
            let waiter = Weak::clone(this) as Weak<dyn Waiter>;
            HttpStream::new(Rc::clone(runner), Envoy(Rc::clone(&told)), waiter)
        });
        assert_eq!(stream.request_headers(true), Next::Hold);
        assert_eq!(told.waiting.get(), 1);
        Self { told, stream }
    }

    fn replies(&self) -> Vec<(u16, Bytes)> {
        self.told.replies.borrow().clone()
    }
}

fn runner(chain: Waits) -> Rc<Runner<Waits>> {
    Rc::new(Runner::new(chain, CallbackMonitor::complete()))
}

fn wake_all(runner: &Runner<Waits>) {
    runner.wake(&Woken {
        all: true,
        callers: Vec::new(),
    });
    runner.tick();
}

#[test]
fn a_woken_request_that_panics_is_answered_and_so_is_the_next() {
    let unavailable = (503, Bytes::from("plugin_panicked"));
    let decided = (500, Bytes::new());
    let panics = |request, response, error| Waits {
        refuses: true,
        request_panics: Cell::new(request),
        response_panics: Cell::new(response),
        error_panics: Cell::new(error),
        ..Waits::default()
    };
    for (chain, expected) in [
        (panics(1, 0, 0), &decided),
        (panics(1, 0, 1), &unavailable),
        // The reply passes the chain before it is sent.
        (panics(0, 1, 0), &decided),
        (panics(0, 1, 1), &unavailable),
        (panics(0, 2, 0), &unavailable),
        (panics(1, 1, 0), &unavailable),
    ] {
        let runner = runner(chain);
        let (one, two) = (Waiting::new(&runner), Waiting::new(&runner));
        wake_all(&runner);
        assert_eq!(one.replies(), std::slice::from_ref(expected));
        assert_eq!(two.replies(), [(403, Bytes::new())]);
        for request in [one, two] {
            assert_eq!(request.told.waiting.get(), 0);
            assert_eq!(request.told.resumed.get(), 0);
        }
    }
}

#[test]
fn a_woken_request_goes_on_once() {
    let runner = runner(Waits::default());
    let request = Waiting::new(&runner);
    wake_all(&runner);
    wake_all(&runner);
    assert_eq!(request.told.resumed.get(), 1);
    assert_eq!(request.replies(), []);
}

/// Envoy answers a request that waits, for example because of `request_timeout`.
#[test]
fn a_request_that_is_answered_waits_no_longer() {
    for is_blind in [false, true] {
        let runner = runner(Waits {
            is_blind,
            ..Waits::default()
        });
        let request = Waiting::new(&runner);
        assert_eq!(request.stream.response_headers(), Next::Continue);
        assert_eq!(request.told.waiting.get(), 0);
        wake_all(&runner);
        assert_eq!(runner.chain.judged.get(), 1);
        assert_eq!(request.told.resumed.get(), 0);
    }
}
