//! A filter: one stream of one configuration.

use std::cell::OnceCell;
use std::ptr::null_mut;
use std::rc::Rc;

use portcullis_host::{Chain, HttpStream, Next, Phase};

use crate::abi::{self, FilterPtr};
use crate::current::{self, Entered};
use crate::filter_host::FilterHost;
use crate::hooks;
use crate::panics::panic_on_request;
use crate::route_config::RouteConfig;
use crate::services::Services;
use crate::worker::Worker;

/// A filter of any chain. Envoy's callbacks reach it through [`hooks`](crate::hooks).
pub trait AnyFilter {
    /// The request's headers have arrived.
    fn request_headers(&self, is_complete: bool) -> Next;
    /// The last byte of the request has arrived, or its trailers.
    fn request_end(&self);
    /// The response's headers have arrived.
    fn response_headers(&self) -> Next;
    /// The response's trailers have arrived.
    fn response_trailers(&self);
    /// The stream has ended.
    fn log(&self);
    /// A tick of the worker, through this stream.
    fn tick(&self);
    /// A callback in this phase panicked. Decides about the message.
    fn panicked(&self, phase: Phase) -> Next;
    /// Envoy destroys its filter. A callback that runs may keep the stream for a while, but it can wait no longer.
    fn destroyed(self: Rc<Self>);
    /// Drops one of those that keep the stream.
    fn end(self: Rc<Self>);
}

/// A filter of a chain.
pub(crate) struct Filter<C: Chain> {
    services: *const Services,
    /// That of the filter's own configuration.
    worker: Rc<Worker<C>>,
    filter: FilterPtr,
    /// The chain that the stream uses, from its first event on: a route may have its own.
    begun: OnceCell<Begun<C>>,
}

struct Begun<C: Chain> {
    worker: Rc<Worker<C>>,
    stream: Rc<HttpStream<C, FilterHost>>,
}

impl<C: Chain> Filter<C> {
    /// # Safety
    /// All arguments outlive the result, and this is the worker's thread.
    pub(crate) unsafe fn create(
        services: &Services,
        worker: &Rc<Worker<C>>,
        filter: FilterPtr,
    ) -> Rc<dyn AnyFilter> {
        Rc::new(Self {
            services,
            worker: Rc::clone(worker),
            filter,
            begun: OnceCell::new(),
        })
    }

    fn enter(&self) -> Entered<'_> {
        let services = self.services();
        let entered = current::enter(services, self.filter);
        services.change_deferred_metrics(self.filter);
        entered
    }

    fn services(&self) -> &Services {
        // SAFETY: the services outlive the filter.
        unsafe { &*self.services }
    }

    fn begun(&self) -> &Begun<C> {
        self.begun.get_or_init(|| {
            let worker = self
                .route_worker()
                .unwrap_or_else(|| Rc::clone(&self.worker));
            // SAFETY: the filter outlives the stream, which is dropped with it.
            let host = unsafe { FilterHost::new(self.filter, Rc::clone(&worker.waiting)) };
            let stream = HttpStream::new(Rc::clone(&worker.runner), host);
            Begun { worker, stream }
        })
    }

    /// The worker of the route's own configuration, if it has one.
    fn route_worker(&self) -> Option<Rc<Worker<C>>> {
        if !RouteConfig::is_any() {
            return None;
        }
        // SAFETY: the filter lives. The pointer is null or comes from `hooks::route_config_new`, and the stream keeps the
        // route.
        let route = unsafe { hooks::route_config(abi::route_config(self.filter))? };
        let (worker, is_new) = self.worker.of_route(&route)?;
        if is_new && worker.needs_ticks() {
            self.services().add_route(&route);
        }
        Some(worker)
    }
}

impl<C: Chain> AnyFilter for Filter<C> {
    fn request_headers(&self, is_complete: bool) -> Next {
        let _entered = self.enter();
        let Begun { worker, stream } = self.begun();
        worker.tick_if_due();
        let next = stream.request_headers(is_complete);
        panic_on_request(self.filter, "request");
        next
    }

    fn request_end(&self) {
        let _entered = self.enter();
        self.begun().stream.request_end();
        panic_on_request(self.filter, "request_end");
    }

    fn response_headers(&self) -> Next {
        let _entered = self.enter();
        let next = self.begun().stream.response_headers();
        panic_on_request(self.filter, "response");
        next
    }

    fn response_trailers(&self) {
        let _entered = self.enter();
        self.begun().stream.response_trailers();
        panic_on_request(self.filter, "trailers");
    }

    fn log(&self) {
        let _entered = self.enter();
        self.begun().stream.log();
        panic_on_request(self.filter, "log");
    }

    fn tick(&self) {
        let _entered = self.enter();
        self.begun().worker.tick();
    }

    fn panicked(&self, phase: Phase) -> Next {
        let _entered = self.enter();
        self.begun().stream.panicked(phase)
    }

    fn destroyed(self: Rc<Self>) {
        // SAFETY: the services outlive the filter.
        let services = unsafe { &*self.services };
        // An Envoy before 1.39 counts only within the callback of a filter, and this is the last one.
        let _entered = current::enter(services, self.filter);
        if let Some(begun) = self.begun.get() {
            begun.stream.leave_queue();
        }
        drop(self);
    }

    fn end(self: Rc<Self>) {
        // SAFETY: the services outlive the filter.
        let services = unsafe { &*self.services };
        // Envoy may have destroyed its filter already.
        let _entered = current::enter(services, null_mut());
        drop(self);
    }
}
