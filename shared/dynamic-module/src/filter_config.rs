//! A filter configuration: a chain of plugins for the main thread and for each worker.

use std::rc::Rc;
use std::time::Duration;

use portcullis_host::{CallId, CallResponse, Chain, backend, configure, log_summaries};

use crate::abi::{self, ConfigPtr, FilterPtr, newer};
use crate::backend::Process;
use crate::calls::{Origin, Outgoing, Pending};
use crate::filter::{AnyFilter, Filter};
use crate::services::Services;
use crate::worker::Worker;
use crate::{current, logger, rehearsal};

/// The time from the configuration to the first tick.
const FIRST_TICK: Duration = Duration::from_millis(1);

/// A filter configuration of any chain.
pub trait FilterConfig: Send + Sync {
    /// A filter for a stream that begins; `None` if it begins in a thread that has no chain.
    ///
    /// # Safety
    /// `filter` is Envoy's filter of the stream. It outlives the result, and so does this configuration.
    unsafe fn filter(&self, filter: FilterPtr) -> Option<Rc<dyn AnyFilter>>;

    /// A tick in the main thread.
    fn tick(&self);

    /// Workers have handed over calls to the main thread.
    fn make_calls(&self);

    /// The size limit of the response to a call, in bytes.
    fn max_call_body(&self) -> usize;

    /// The response to the call with this id of Envoy has arrived, in the main thread.
    fn call_response(&self, id: u64, response: CallResponse);
}

/// A configuration that Envoy asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewConfig<'a> {
    config: ConfigPtr,
    text: &'a [u8],
}

impl<'a> NewConfig<'a> {
    /// # Safety
    /// `config` is Envoy's configuration. It outlives the result of [`create`](Self::create).
    pub(crate) unsafe fn new(config: ConfigPtr, text: &'a [u8]) -> Self {
        Self { config, text }
    }

    /// Reads the configuration of this chain. If it is refused, the log says why.
    pub fn create<C: Chain>(self) -> Option<Box<dyn FilterConfig>> {
        logger::init();
        backend::install(&Process);
        // SAFETY: as `new` requires.
        let services = Box::new(unsafe { Services::new(self.config) });
        match Configured::<C>::new(services, self.text) {
            Ok(configured) => Some(Box::new(configured)),
            Err(errors) => {
                log::error!("portcullis {}: configuration refused:\n{errors}", C::NAME);
                None
            }
        }
    }
}

/// The chains of one configuration.
struct Configured<C: Chain> {
    /// The first for the main thread, the others for the workers in order.
    workers: Vec<OfOneThread<Rc<Worker<C>>>>,
    services: Box<Services>,
}

/// A value that one thread uses.
///
/// Envoy creates and destroys a configuration in any thread, but only while no other thread uses any part of it. In
/// between, each thread uses its own value.
struct OfOneThread<T>(T);

// SAFETY: as above: two threads never use the value at the same time.
unsafe impl<T> Send for OfOneThread<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for OfOneThread<T> {}

impl<C: Chain> Configured<C> {
    fn new(services: Box<Services>, text: &[u8]) -> Result<Self, String> {
        let entered = current::enter(&services, std::ptr::null_mut());
        let main = configure::<C>(text)?;
        if main.needs_stream_end() && newer().is_none() {
            return Err(
                "this plugin needs Envoy 1.39 or later, because earlier versions do not tell a dynamic module why a \
                 stream ended; the WebAssembly module has no such limit"
                    .to_owned(),
            );
        }
        log_summaries(&main);
        rehearsal::run::<C>();
        // SAFETY: no pointers are passed, and this is the main thread.
        let (workers, is_validating) = unsafe { (abi::concurrency(), abi::is_validation_mode()) };
        let mut chains = vec![main];
        for _ in 0..workers.max(1) {
            // The text alone decides, so it is not refused now.
            chains.push(configure::<C>(text)?);
        }
        services.complete_metrics();
        drop(entered);
        let workers: Vec<_> = chains
            .into_iter()
            .map(|chain| OfOneThread(Rc::new(Worker::new(chain, &services, None))))
            .collect();
        let needs_ticks = workers.first().is_some_and(|main| main.0.needs_ticks());
        if needs_ticks && !is_validating {
            services.ticks().tick_within(FIRST_TICK);
        }
        Ok(Self { workers, services })
    }

    fn main(&self) -> Option<&Worker<C>> {
        self.workers.first().map(|worker| &*worker.0)
    }
}

impl<C: Chain> FilterConfig for Configured<C> {
    unsafe fn filter(&self, filter: FilterPtr) -> Option<Rc<dyn AnyFilter>> {
        // SAFETY: the filter lives.
        let index = unsafe { abi::worker_index(filter) };
        let worker = self.workers.get(index as usize + 1)?;
        // SAFETY: this is the worker's thread; configuration and filter outlive the result.
        Some(unsafe { Filter::create(&self.services, &worker.0, filter) })
    }

    fn tick(&self) {
        let _entered = current::enter(&self.services, std::ptr::null_mut());
        let Some(main) = self.main() else {
            return;
        };
        for route in self.services.take_new_routes() {
            main.of_route(&route, &self.services);
        }
        if let Some(next) = main.tick_all() {
            self.services.ticks().tick_after(next);
        }
    }

    fn max_call_body(&self) -> usize {
        self.main().map_or(0, Worker::max_call_body)
    }

    fn make_calls(&self) {
        let _entered = current::enter(&self.services, std::ptr::null_mut());
        for Outgoing { call, origin } in self.services.calls().take_outgoing() {
            let memo = call.with(|call| call.memo.cloned());
            match call.with(|call| self.services.send(call)) {
                Ok(id) => {
                    let origin = Some(origin);
                    let pending = Pending { memo, origin };
                    self.services.calls().add_pending(id, pending);
                }
                Err(error) => {
                    let response = CallResponse {
                        not_sent: Some(error),
                        memo,
                        ..CallResponse::default()
                    };
                    self.response_to_worker(&origin, &response);
                }
            }
        }
    }

    fn call_response(&self, id: u64, mut response: CallResponse) {
        let _entered = current::enter(&self.services, std::ptr::null_mut());
        if let Some(Pending { memo, origin }) = self.services.calls().take_pending(id) {
            response.memo = memo;
            if let Some(origin) = origin {
                return self.response_to_worker(&origin, &response);
            }
        }
        let Some(main) = self.main() else {
            return;
        };
        if let Some(next) = main.call_response(CallId::new(id), &response, &self.services) {
            // Responses may arrive more often than the main thread ticks.
            self.services.ticks().tick_within(next);
        }
    }
}

impl<C: Chain> Configured<C> {
    /// Handles the response to a call of a worker, with the same chain in the main thread.
    fn response_to_worker(&self, origin: &Origin, response: &CallResponse) {
        let Some(main) = self.main() else {
            return;
        };
        let of_route = match &origin.route {
            Some(route) => main.of_route(route, &self.services),
            None => None,
        };
        let (main, is_new) = match &of_route {
            Some((of_route, is_new)) => (&**of_route, *is_new),
            None => (main, false),
        };
        // The main thread ticks for itself, whatever this chain needs.
        main.own_call_response(origin.id, response, &self.services, Some(origin));
        if is_new && main.needs_ticks() {
            self.services.ticks().tick_now();
        }
    }
}

/// Plugins count while they are dropped.
impl<C: Chain> Drop for Configured<C> {
    fn drop(&mut self) {
        let _entered = current::enter(&self.services, std::ptr::null_mut());
        self.workers.clear();
    }
}

#[cfg(test)]
mod tests;
