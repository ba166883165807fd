//! A chain of plugins in one thread, with those of the routes that have their own configuration.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Nanos;
use portcullis_host::{CallId, CallResponse, CallbackMonitor, Chain, Runner, configure};

use crate::filter_host::FilterHost;
use crate::process;
use crate::route_config::{OfRoute, RouteConfig};
use crate::ticker::Waiting;

/// A chain in one thread.
pub(crate) struct Worker<C: Chain> {
    pub(crate) runner: Rc<Runner<C, FilterHost>>,
    pub(crate) waiting: Rc<RefCell<Waiting>>,
    /// By the monotonic clock; `None` if nothing needs a tick.
    next_tick: Cell<Option<Nanos>>,
    /// The chains of routes, by the ids of their configurations.
    routes: RefCell<BTreeMap<u64, OfRoute<Option<Rc<Worker<C>>>>>>,
}

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
            return Some((Rc::clone(known.value.as_ref()?), false));
        }
        let worker = match route.chain == C::NAME {
            // It was read before, and the text alone decides.
            true => configure::<C>(&route.text).ok(),
            false => {
                log::error!(
                    "portcullis {}: a route has a configuration for {}, which does not apply",
                    C::NAME,
                    route.chain
                );
                None
            }
        };
        let worker = worker.map(|chain| Rc::new(Self::new(chain)));
        let mut routes = self.routes.borrow_mut();
        routes.retain(|_, known| known.is_current());
        routes.insert(route.id, OfRoute::new(route, worker.clone()));
        Some((worker?, true))
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
        let acted = self.runner.tick();
        self.set_next_tick(acted.next_tick);
        acted.next_tick
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
        let acted = routes
            .iter()
            .filter_map(|route| route.runner.call_response(call, response).next_tick);
        let own = self.runner.call_response(call, response).next_tick;
        let ticks: Vec<Duration> = own.into_iter().chain(acted).collect();
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
