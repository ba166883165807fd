//! The root context of a module: configuration, timer, and responses to calls.

use std::rc::Rc;

use portcullis_core::headers::{HeaderMap, Received};
use portcullis_host::{
    Acted, CallId, CallResponse, CallbackMonitor, Chain, Error, Runner, TICK_WHILE_WOKEN, backend,
    configure, log_summaries,
};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::abi::{self, MapKind};
use crate::calls::{self, RootCalls};
use crate::context::StreamContext;
use crate::host::{Envoy, act_on};
use crate::timer::FIRST_TICK;
use crate::{header_codec, logger};

/// Registers the chain with the SDK. [`module!`](crate::module) calls it when Envoy loads a module; native tests pass
/// it to their host.
pub fn start<C: Chain>() {
    backend::install(&Envoy);
    proxy_wasm::set_root_context(|id| {
        Box::new(Root::<C> {
            id,
            calls: RootCalls::new(id),
            runner: None,
        })
    });
}

struct Root<C: Chain> {
    id: u32,
    calls: Rc<RootCalls>,
    /// `None` before the first configuration.
    runner: Option<Rc<Runner<C>>>,
}

impl<C: Chain> Root<C> {
    fn configure(&mut self) -> Result<(), String> {
        let text = abi::plugin_configuration()
            .map_err(|status| format!("the configuration could not be read: {status:?}"))?;
        let chain = configure::<C>(&text)?;
        log_summaries(&chain);
        let callbacks = match chain.tick_period() {
            Some(_) => CallbackMonitor::with_timer(self.start_timer()),
            None => CallbackMonitor::default(),
        };
        self.runner = Some(Rc::new(Runner::new(chain, callbacks)));
        Ok(())
    }

    /// Sets the timer, and checks that this context may act on others.
    fn start_timer(&self) -> Result<(), Error> {
        self.calls.timer.tick_after(FIRST_TICK)?;
        act_on(self.id)
    }

    /// Makes Envoy's calls act on this context again.
    fn leave_streams(&self, acted: &Acted) {
        if acted.judged {
            // Fails only where acting on others failed before, which is already recorded.
            let _ = act_on(self.id);
        }
    }
}

impl<C: Chain> Drop for Root<C> {
    fn drop(&mut self) {
        self.calls.end();
    }
}

/// Reads the response whose callback runs. Of the body, it reads up to `max_body` bytes and one more, which shows
/// that the body is too large.
fn call_response(has_headers: bool, has_trailers: bool, max_body: usize) -> CallResponse {
    let map = |kind| {
        let block = abi::header_map(kind).ok()?;
        let mut received = Received::default();
        header_codec::decode(block, &mut received)?;
        Some(HeaderMap::of(received))
    };
    let of = |exists: bool, kind| exists.then(|| map(kind)).flatten();
    CallResponse {
        headers: of(has_headers, MapKind::CallResponseHeaders),
        // A response without a body has no buffer.
        body: abi::call_response_body(max_body.saturating_add(1)).unwrap_or_default(),
        trailers: of(has_trailers, MapKind::CallResponseTrailers),
        ..CallResponse::default()
    }
}

impl<C: Chain> Context for Root<C> {
    fn on_http_call_response(
        &mut self,
        token: u32,
        header_count: usize,
        _body_size: usize,
        trailer_count: usize,
    ) {
        let _entered = self.calls.enter();
        let Some(runner) = &self.runner else {
            return;
        };
        let call = CallId::new(token.into());
        let response = CallResponse {
            memo: self.calls.take_memo(call),
            ..call_response(header_count > 0, trailer_count > 0, runner.max_call_body())
        };
        let acted = runner.call_response(call, &response);
        self.leave_streams(&acted);
        if acted.next_tick == Some(TICK_WHILE_WOKEN) {
            // If Envoy refuses, the next tick judges the rest.
            let _ = self.calls.timer.tick_within(TICK_WHILE_WOKEN);
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

    /// A stream makes a call.
    fn on_queue_ready(&mut self, _queue: u32) {
        let _entered = self.calls.enter();
        calls::make_requested();
    }

    fn on_tick(&mut self) {
        let _entered = self.calls.enter();
        let Some(runner) = &self.runner else {
            return;
        };
        let acted = runner.tick();
        self.leave_streams(&acted);
        // The timer was set when configuring. If Envoy refuses now, the period stays as it is.
        let next = acted.next_tick.unwrap_or_default();
        let _ = self.calls.timer.tick_after(next);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(StreamContext::new(
            id,
            &self.calls,
            self.runner.clone(),
        )))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
