//! A chain of plugins in one thread, with those of the routes that have their own configuration.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Nanos;
use portcullis_host::{Acted, CallId, CallResponse, CallbackMonitor, Chain, Runner, configure};

use crate::process;
use crate::route_config::{OfRoute, RouteConfig};
use crate::ticker::Waiting;

/// The time from a panic outside of streams to the next tick. Without one, nobody would fetch keys or judge waiting
/// requests any more.
const AFTER_PANIC: Duration = Duration::from_millis(200);

/// A chain in one thread.
pub(crate) struct Worker<C: Chain> {
    pub(crate) runner: Rc<Runner<C>>,
    pub(crate) waiting: Rc<RefCell<Waiting>>,
    /// By the monotonic clock; `None` if nothing needs a tick.
    next_tick: Cell<Option<Nanos>>,
    /// The chains of routes, by the ids of their configurations; `None` if a configuration is for other plugins.
    routes: RefCell<BTreeMap<u64, OfRoute<Applying<C>>>>,
}

/// The worker of a route's configuration, if that applies to the chain.
type Applying<C> = Option<Rc<Worker<C>>>;

impl<C: Chain> Worker<C> {
    pub(crate) fn new(chain: C) -> Self {
        let needs_ticks = chain.tick_period().is_some();
        Self {
            runner: Rc::new(Runner::new(chain, CallbackMonitor::complete())),
            waiting: Rc::default(),
            next_tick: Cell::new(needs_ticks.then_some(Nanos::ZERO)),
            routes: RefCell::default(),
        }
    }

    pub(crate) fn needs_ticks(&self) -> bool {
        self.next_tick.get().is_some()
    }

    /// The chain for a route with this configuration, and whether it is new in this thread; `None` if the configuration is
    /// for another chain of plugins.
    pub(crate) fn of_route(&self, route: &Arc<RouteConfig>) -> Option<(Rc<Self>, bool)> {
        if let Some(known) = self.routes.borrow().get(&route.id) {
            return known.value.clone().map(|worker| (worker, false));
        }
        let worker = self.new_of_route(route).map(Rc::new);
        let mut routes = self.routes.borrow_mut();
        routes.retain(|_, known| known.is_current());
        routes.insert(route.id, OfRoute::new(route, worker.clone()));
        worker.map(|worker| (worker, true))
    }

    fn new_of_route(&self, route: &RouteConfig) -> Option<Self> {
        if route.chain != C::NAME {
            log::error!(
                "portcullis {}: a route has a configuration for {}, which does not apply",
                C::NAME,
                route.chain
            );
            return None;
        }
        // It was read before, and the text alone decides.
        configure::<C>(&route.text).ok().map(Self::new)
    }

    /// Ticks if that is due. Workers have no timer.
    pub(crate) fn tick_if_due(&self) {
        if let Some(due) = self.next_tick.get()
            && process::monotonic() >= due
        {
            self.tick();
        }
    }

    /// Ticks, and sets the next tick. Returns the time until then.
    pub(crate) fn tick(&self) -> Option<Duration> {
        let next = contained(|| self.runner.tick());
        self.set_next_tick(next);
        next
    }

    /// Ticks with the chains of all routes. Returns the time until the next tick of any.
    pub(crate) fn tick_all(&self) -> Option<Duration> {
        let routes = self.all_routes();
        let ticks = routes.iter().filter_map(|route| route.tick());
        // Every chain ticks, so this collects before it compares.
        let ticks: Vec<Duration> = self.tick().into_iter().chain(ticks).collect();
        ticks.into_iter().min()
    }

    pub(crate) fn max_call_body(&self) -> usize {
        let routes = self.all_routes();
        let sizes = routes.iter().map(|route| route.runner.max_call_body());
        sizes.fold(self.runner.max_call_body(), usize::max)
    }

    /// Shows a response to the chains, of which one has made the call. Returns the time until the next tick.
    pub(crate) fn call_response(&self, call: CallId, response: &CallResponse) -> Option<Duration> {
        let routes = self.all_routes();
        let show = |worker: &Self| contained(|| worker.runner.call_response(call, response));
        let shown = routes.iter().filter_map(|route| show(route));
        let ticks: Vec<Duration> = show(self).into_iter().chain(shown).collect();
        ticks.into_iter().min()
    }

    fn all_routes(&self) -> Vec<Rc<Self>> {
        let routes = self.routes.borrow();
        let current = routes.values().filter(|route| route.is_current());
        current.filter_map(|route| route.value.clone()).collect()
    }

    fn set_next_tick(&self, time: Option<Duration>) {
        let due = time.map(|time| process::monotonic() + Nanos::from(time));
        self.next_tick.set(due);
        if let Some(time) = time {
            // SAFETY: this is the worker's thread.
            unsafe { self.waiting.borrow_mut().tick_after(time) }
        }
    }
}

/// Lets one chain act outside of streams. A panic, which is in the log, ends neither the ticks of this chain nor those of
/// others. Returns the time until the next tick.
fn contained(act: impl FnOnce() -> Acted) -> Option<Duration> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(acted) => acted.next_tick,
        Err(_) => Some(AFTER_PANIC),
    }
}
