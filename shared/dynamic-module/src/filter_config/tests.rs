use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::References;
use portcullis_host::{Error, Exchange, Failure, Flow, Summary, Worker as Outside};

use super::*;
use crate::route_config::{NewRouteConfig, RouteConfig};
use crate::ticker::tests::{Uses, counting, pause};

const PERIOD: Duration = Duration::from_millis(20);

thread_local! {
    /// The chains of this test that exist.
    static CHAINS: Cell<usize> = const { Cell::new(0) };
}

/// A chain that ticks.
struct Ticking;

impl Drop for Ticking {
    fn drop(&mut self) {
        CHAINS.set(CHAINS.get() - 1);
    }
}

impl Chain for Ticking {
    const NAME: &'static str = "ticking";
    type Config = ();
    type Stream = ();

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
        CHAINS.set(CHAINS.get() + 1);
        Self
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn needs_stream_end(&self) -> bool {
        false
    }

    fn sees_responses(&self) -> bool {
        false
    }

    fn sees_end(&self) -> bool {
        false
    }

    fn on_error(&self, (): &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
    }

    fn on_request(&self, (): &mut (), _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn on_request_end(&self, (): &mut (), _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn on_response(&self, (): &mut (), _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn on_trailers(&self, (): &mut (), _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn on_log(&self, (): &mut (), _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    fn tick_period(&self) -> Option<Duration> {
        Some(PERIOD)
    }

    fn tick_while_waiting(&self) -> Duration {
        PERIOD
    }

    fn on_tick(&self, _: &mut Outside) -> Result<(), Error> {
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        0
    }

    fn on_call_response(&self, _: &mut Outside, _: CallId, _: &CallResponse) -> Result<(), Error> {
        Ok(())
    }
}

/// A configuration with one worker.
fn configured() -> (Configured<Ticking>, Arc<Uses>) {
    let (config, uses) = counting();
    // SAFETY: the configuration of a test lives for ever.
    let services = Box::new(unsafe { Services::new(config) });
    let worker = || OfOneThread(Rc::new(Worker::new(Ticking::new(()), &services, None)));
    let workers = vec![worker(), worker()];
    (Configured { workers, services }, uses)
}

#[test]
fn responses_do_not_postpone_the_tick_of_the_main_thread() {
    let (configured, uses) = configured();
    configured.tick();
    for id in 0..40 {
        configured.call_response(id, CallResponse::default());
        pause(PERIOD / 4);
    }
    assert!(uses.ticks.load(Ordering::SeqCst) > 0);
}

fn route() -> Arc<RouteConfig> {
    NewRouteConfig(b"{}").create::<Ticking>().unwrap().0
}

#[test]
fn a_tick_drops_the_chains_of_routes_that_are_gone() {
    let (configured, _) = configured();
    let (gone, stays) = (route(), route());
    for thread in &configured.workers {
        thread.0.of_route(&gone, &configured.services);
        thread.0.of_route(&stays, &configured.services);
    }
    assert_eq!(CHAINS.get(), 6);
    drop(gone);

    configured.tick();
    assert_eq!(CHAINS.get(), 5);
    configured.workers[1].0.tick();

    assert_eq!(CHAINS.get(), 4);
    drop(configured);
    assert_eq!(CHAINS.get(), 0);
}
