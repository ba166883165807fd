//! The root context of a module: configuration, timer, and responses to calls.

use std::rc::Rc;

use portcullis_core::config::Document;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::abi;
use crate::callback_monitor::CallbackMonitor;
use crate::chain::Chain;
use crate::error::Error;
use crate::http_stream::HttpStream;
use crate::logger;
use crate::runner::{Runner, act_on};
use crate::timer::{FIRST_TICK, TICK_WHILE_WAITING, TICK_WHILE_WOKEN, tick_after};
use crate::worker::{CallId, Worker, call_response};

/// Registers the chain with the SDK. [`module!`](crate::module) calls it when Envoy loads a module; native tests pass
/// it to their host.
pub fn start<C: Chain>() {
    proxy_wasm::set_root_context(|id| Box::new(Root::<C> { id, runner: None }));
}

struct Root<C: Chain> {
    id: u32,
    /// `None` before the first configuration.
    runner: Option<Rc<Runner<C>>>,
}

impl<C: Chain> Root<C> {
    fn configure(&mut self) -> Result<(), String> {
        let text = abi::plugin_configuration()
            .map_err(|status| format!("the configuration could not be read: {status:?}"))?;
        let config = Document::parse(&text)
            .and_then(C::read)
            .map_err(|errors| errors.to_string())?;
        let chain = C::new(config);
        for summary in chain.summaries() {
            log::info!(
                "portcullis {} {} \"{}\": {}",
                summary.plugin,
                env!("CARGO_PKG_VERSION"),
                summary.instance,
                summary.description,
            );
        }
        let callbacks = match chain.tick_period() {
            Some(_) => CallbackMonitor::with_timer(self.start_timer()),
            None => CallbackMonitor::default(),
        };
        self.runner = Some(Rc::new(Runner::new(chain, callbacks)));
        Ok(())
    }

    /// Sets the timer, and checks that this context may act on others.
    fn start_timer(&self) -> Result<(), Error> {
        tick_after(FIRST_TICK)?;
        act_on(self.id)
    }

    /// Lets the chain act outside of streams, and then judges a slice of the woken requests.
    fn act(&self, handle: impl FnOnce(&C, &mut Worker)) {
        let Some(runner) = &self.runner else {
            return;
        };
        let started = abi::monotonic_time().ok();
        let mut worker = Worker::default();
        handle(&runner.chain, &mut worker);
        runner.warn(worker.failures(), "outside of streams");
        if worker.wakes() {
            runner.waiting.wake();
        }
        if runner.waiting.has_woken() {
            runner.judge_woken(started);
            // Fails only where acting on others failed before, which is already recorded.
            let _ = act_on(self.id);
        }
    }
}

impl<C: Chain> Context for Root<C> {
    fn on_http_call_response(
        &mut self,
        token: u32,
        header_count: usize,
        _body_size: usize,
        _trailer_count: usize,
    ) {
        self.act(|chain, worker| {
            let response = call_response(header_count > 0, chain.max_call_body());
            let handled = chain.on_call_response(worker, CallId::new(token), &response);
            worker.unwrap_or_warn(C::NAME, handled);
        });
        let runner = self.runner.as_ref();
        if runner.is_some_and(|runner| runner.waiting.has_woken()) {
            // If Envoy refuses, the next tick judges the rest.
            let _ = tick_after(TICK_WHILE_WOKEN);
        }
    }
}

impl<C: Chain> RootContext for Root<C> {
    fn on_configure(&mut self, _size: usize) -> bool {
        logger::init();
        match self.configure() {
            Ok(()) => true,
            Err(errors) => {
                log::error!("portcullis {}: configuration refused:\n{errors}", C::NAME);
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(runner) = &self.runner {
            runner.callbacks.ticked();
        }
        self.act(|chain, worker| {
            let ticked = chain.on_tick(worker);
            worker.unwrap_or_warn(C::NAME, ticked);
        });
        let Some(runner) = &self.runner else {
            return;
        };
        let period = runner.chain.tick_period();
        let waiting = &runner.waiting;
        // The timer was set when configuring. If Envoy refuses now, the period stays as it is.
        let _ = tick_after(match (waiting.is_empty(), waiting.has_woken()) {
            (_, true) => TICK_WHILE_WOKEN,
            (false, false) => {
                period.map_or(TICK_WHILE_WAITING, |period| period.min(TICK_WHILE_WAITING))
            }
            (true, false) => period.unwrap_or_default(),
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpStream::new(id, self.runner.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
