//! A filter: one stream of one configuration.

use std::rc::Rc;

use portcullis_host::{Chain, HttpStream, Next, Phase};

use crate::abi::FilterPtr;
use crate::current::{self, Entered};
use crate::filter_config::Worker;
use crate::filter_host::FilterHost;
use crate::services::Services;

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
    /// Drops the stream.
    fn end(self: Rc<Self>);
}

/// A filter of a chain.
pub(crate) struct Filter<C: Chain> {
    services: *const Services,
    worker: *const Worker<C>,
    filter: FilterPtr,
    stream: Rc<HttpStream<C>>,
}

impl<C: Chain> Filter<C> {
    /// # Safety
    /// All arguments outlive the result, and this is the worker's thread.
    pub(crate) unsafe fn create(
        services: &Services,
        worker: &Worker<C>,
        filter: FilterPtr,
    ) -> Rc<dyn AnyFilter> {
        // SAFETY: as above; the stream is dropped with the filter.
        let host = unsafe { FilterHost::new(filter, Rc::clone(&worker.waiting)) };
        Rc::new(Self {
            services,
            worker,
            filter,
            stream: HttpStream::new(Rc::clone(&worker.runner), Box::new(host)),
        })
    }

    fn enter(&self) -> Entered<'_> {
        // SAFETY: the services outlive the filter.
        let services = unsafe { &*self.services };
        let entered = current::enter(services, self.filter);
        services.change_deferred_metrics(self.filter);
        entered
    }

    fn worker(&self) -> &Worker<C> {
        // SAFETY: the worker outlives the filter, and this is its thread.
        unsafe { &*self.worker }
    }
}

impl<C: Chain> AnyFilter for Filter<C> {
    fn request_headers(&self, is_complete: bool) -> Next {
        let _entered = self.enter();
        self.worker().tick_if_due();
        self.stream.request_headers(is_complete)
    }

    fn request_end(&self) {
        let _entered = self.enter();
        self.stream.request_end();
    }

    fn response_headers(&self) -> Next {
        let _entered = self.enter();
        self.stream.response_headers()
    }

    fn response_trailers(&self) {
        let _entered = self.enter();
        self.stream.response_trailers();
    }

    fn log(&self) {
        let _entered = self.enter();
        self.stream.log();
    }

    fn tick(&self) {
        let _entered = self.enter();
        self.worker().tick();
    }

    fn panicked(&self, phase: Phase) -> Next {
        let _entered = self.enter();
        self.stream.panicked(phase)
    }

    fn end(self: Rc<Self>) {
        // SAFETY: the services outlive the filter.
        let services = unsafe { &*self.services };
        let filter = self.filter;
        let _entered = current::enter(services, filter);
        drop(self);
    }
}
