//! A chain of plugins in one thread, with those of the routes that have their own configuration.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::time::Nanos;
use portcullis_host::{
    Acted, CallId, CallResponse, CallbackMonitor, Chain, Runner, Woken, configure,
};

use crate::calls::{Caller, Origin};
use crate::process;
use crate::route_config::{OfRoute, RouteConfig};
use crate::services::Services;
use crate::waiting::Waiting;

/// The time from a panic outside of streams to the next tick. Without one, nobody would fetch keys or judge waiting
/// requests any more.
const AFTER_PANIC: Duration = Duration::from_millis(200);

/// A chain in one thread.
pub(crate) struct Worker<C: Chain> {
    pub(crate) runner: Rc<Runner<C>>,
    pub(crate) waiting: Rc<RefCell<Waiting>>,
    /// The id of the route's configuration.
    route_id: Option<u64>,
    /// By the monotonic clock; `None` if nothing needs a tick.
    next_tick: Cell<Option<Nanos>>,
    /// The chains of routes, by the ids of their configurations; `None` if a configuration is for other plugins.
    routes: RefCell<BTreeMap<u64, OfRoute<Applying<C>>>>,
}

/// The worker of a route's configuration, if that applies to the chain.
type Applying<C> = Option<Rc<Worker<C>>>;

impl<C: Chain> Worker<C> {
    /// The chain of a filter, or of a route with its own configuration.
    pub(crate) fn new(chain: C, services: &Services, route: Option<&Arc<RouteConfig>>) -> Self {
        let needs_ticks = chain.tick_period().is_some();
        let route_id = route.map(|route| route.id);
        let caller = Caller {
            mailbox: Arc::default(),
            route: route.map(Arc::downgrade),
        };
        services.calls().add_mailbox(route_id, &caller.mailbox);
        Self {
            runner: Rc::new(Runner::new(chain, CallbackMonitor::complete())),
            waiting: Rc::new(RefCell::new(Waiting::new(caller))),
            route_id,
            next_tick: Cell::new(needs_ticks.then_some(Nanos::ZERO)),
            routes: RefCell::default(),
        }
    }

    pub(crate) fn needs_ticks(&self) -> bool {
        self.next_tick.get().is_some()
    }

    /// The chain for a route with this configuration, and whether it is new in this thread; `None` if the configuration is
    /// for another chain of plugins.
    pub(crate) fn of_route(
        &self,
        route: &Arc<RouteConfig>,
        services: &Services,
    ) -> Option<(Rc<Self>, bool)> {
        if let Some(known) = self.routes.borrow().get(&route.id) {
            return known.value.clone().map(|worker| (worker, false));
        }
        let worker = Self::new_of_route(route, services).map(Rc::new);
        self.drop_old_routes();
        let mut routes = self.routes.borrow_mut();
        routes.insert(route.id, OfRoute::new(route, worker.clone()));
        worker.map(|worker| (worker, true))
    }

    /// Drops the chains of routes that Envoy has no more. Plugins set gauges while they are dropped.
    fn drop_old_routes(&self) {
        self.routes
            .borrow_mut()
            .retain(|_, known| known.is_current());
    }

    fn new_of_route(route: &Arc<RouteConfig>, services: &Services) -> Option<Self> {
        if route.chain != C::NAME {
            log::error!(
                "portcullis {}: a route has a configuration for {}, which does not apply",
                C::NAME,
                route.chain
            );
            return None;
        }
        // It was read before, and the text alone decides.
        let chain = configure::<C>(&route.text).ok()?;
        Some(Self::new(chain, services, Some(route)))
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
        self.drop_old_routes();
        let woken = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.begin_tick();
            waiting.caller().mailbox.take()
        };
        let acted = contained(|| {
            self.runner.wake(&woken);
            self.runner.tick()
        });
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
    pub(crate) fn call_response(
        &self,
        call: CallId,
        response: &CallResponse,
        services: &Services,
    ) -> Option<Duration> {
        let routes = self.all_routes();
        let show = |worker: &Self| worker.own_call_response(call, response, services, None);
        let shown = routes.iter().filter_map(|route| show(route));
        let ticks: Vec<Duration> = show(self).into_iter().chain(shown).collect();
        ticks.into_iter().min()
    }

    /// Shows a response to this chain alone, and wakes the requests of all workers that the chain wakes. Returns the time
    /// until the next tick.
    pub(crate) fn own_call_response(
        &self,
        call: CallId,
        response: &CallResponse,
        services: &Services,
        origin: Option<&Origin>,
    ) -> Option<Duration> {
        let acted = contained(|| self.runner.call_response(call, response));
        services.calls().wake(self.route_id, &acted.woken, origin);
        acted.next_tick
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
/// others.
fn contained(act: impl FnOnce() -> Acted) -> Acted {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Acted {
        judged: false,
        next_tick: Some(AFTER_PANIC),
        woken: Woken::default(),
    })
}
