//! A filter: one stream of one configuration.

use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::rc::{Rc, Weak};

use portcullis_host::{Chain, HttpStream, Next, Phase, Waiter};

use crate::abi::{self, FilterPtr, newer};
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
    /// Drops the last one that keeps the stream.
    fn end(self: Rc<Self>);
    /// The pointer that Envoy keeps.
    fn handle(&self) -> &Handle;
}

/// The first field of each filter: the address of a filter is that of its handle, so Envoy needs to keep only one pointer.
#[derive(Debug, Default)]
pub struct Handle(Cell<Option<*const dyn AnyFilter>>);

/// Gives a filter to Envoy.
pub(crate) fn into_raw(filter: Rc<dyn AnyFilter>) -> *const c_void {
    let any = Rc::into_raw(filter);
    // SAFETY: the filter has just been created.
    unsafe { &*any }.handle().0.set(Some(any));
    any.cast()
}

/// The filter that Envoy keeps, or `None` for null.
///
/// # Safety
/// The pointer is null, or comes from [`into_raw`], and the filter is not yet destroyed.
unsafe fn any(filter: *const c_void) -> Option<*const dyn AnyFilter> {
    // SAFETY: as above; a filter begins with its handle.
    unsafe { filter.cast::<Handle>().as_ref()?.0.get() }
}

/// A copy of the one that Envoy keeps.
///
/// # Safety
/// As for [`any`].
pub(crate) unsafe fn borrow_raw(filter: *const c_void) -> Option<Rc<dyn AnyFilter>> {
    // SAFETY: as above; the count grows for the result.
    unsafe {
        let any = any(filter)?;
        Rc::increment_strong_count(any);
        Some(Rc::from_raw(any))
    }
}

/// Takes the filter back from Envoy.
///
/// # Safety
/// As for [`any`]; and Envoy does not use the filter any more.
pub(crate) unsafe fn from_raw(filter: *const c_void) -> Option<Rc<dyn AnyFilter>> {
    // SAFETY: as above.
    unsafe { any(filter).map(|any| Rc::from_raw(any)) }
}

/// A filter of a chain.
#[repr(C)]
pub(crate) struct Filter<C: Chain> {
    handle: Handle,
    services: *const Services,
    /// That of the filter's own configuration.
    worker: Rc<Worker<C>>,
    filter: FilterPtr,
    this: Weak<Self>,
    /// The chain that the stream uses, from its first event on: a route may have its own.
    begun: OnceCell<Begun<C>>,
}

struct Begun<C: Chain> {
    worker: Rc<Worker<C>>,
    stream: HttpStream<C, FilterHost>,
}

impl<C: Chain> Filter<C> {
    /// # Safety
    /// All arguments outlive the result, and this is the worker's thread.
    pub(crate) unsafe fn create(
        services: &Services,
        worker: &Rc<Worker<C>>,
        filter: FilterPtr,
    ) -> Rc<dyn AnyFilter> {
        Rc::new_cyclic(|this| Self {
            handle: Handle::default(),
            services,
            worker: Rc::clone(worker),
            filter,
            this: Weak::clone(this),
            begun: OnceCell::new(),
        })
    }

    fn enter(&self) -> Entered<'_> {
        let services = self.services();
        let entered = current::enter(services, self.filter);
        if newer().is_none() {
            services.change_deferred_metrics(self.filter);
        }
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
            let waiter = Weak::clone(&self.this);
            let stream = HttpStream::new(Rc::clone(&worker.runner), host, waiter);
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
        let (worker, is_new) = self.worker.of_route(&route, self.services())?;
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
        // Envoy calls every filter at the end of a stream, and few have anything to do then.
        let is_done = self.begun.get().is_some_and(|it| !it.stream.awaits_end());
        if !is_done {
            let _entered = self.enter();
            self.begun().stream.log();
        }
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
        // An Envoy before 1.39 counts only within the callback of a filter, and this is the last one.
        let filter = self.filter;
        within(self, filter, |this| {
            if let Some(begun) = this.begun.get() {
                begun.stream.leave_queue();
            }
        });
    }

    fn end(self: Rc<Self>) {
        // Envoy may have destroyed its filter already.
        within(self, null_mut(), |_| {});
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Drops a filter within a callback of Envoy's filter, or outside of streams if that is null.
fn within<C: Chain>(filter: Rc<Filter<C>>, envoy: FilterPtr, before: impl FnOnce(&Filter<C>)) {
    // SAFETY: the services outlive the filter.
    let services = unsafe { &*filter.services };
    let _entered = current::enter(services, envoy);
    before(&filter);
    drop(filter);
}

impl<C: Chain> Waiter for Filter<C> {
    fn judge_again(&self) {
        if let Some(begun) = self.begun.get() {
            begun.stream.judge_again();
        }
    }
}
