//! Between the SDK's contexts and a [`Plugin`].

use std::rc::Rc;

use portcullis_policy::config::Document;
use portcullis_policy::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::abi;
use crate::exchange::{Exchange, Phase};
use crate::logger;
use crate::pairs;
use crate::plugin::{Flow, Plugin};
use crate::throttle::Throttle;

/// Registers the plugin with the SDK: what a module does when it is loaded. [`module!`](crate::module)
/// calls it in a module; native tests hand it to their host.
pub fn start<P: Plugin>() {
    proxy_wasm::set_root_context(|_| Box::new(Root::<P> { instance: None }));
}

/// A plugin as configured. Streams keep the one they began with, so a new configuration does not
/// change a request under way.
struct Instance<P> {
    plugin: P,
    warnings: Throttle,
}

struct Root<P> {
    instance: Option<Rc<Instance<P>>>,
}

impl<P: Plugin> Root<P> {
    fn configure(&mut self) -> Result<(), String> {
        let text = abi::plugin_configuration()
            .map_err(|status| format!("the configuration could not be read: {status:?}"))?;
        let config = Document::parse(&text)
            .and_then(P::read)
            .map_err(|errors| errors.to_string())?;
        let plugin = P::new(config);
        for summary in plugin.summaries() {
            log::info!(
                "portcullis {} {} \"{}\": {}",
                summary.plugin,
                env!("CARGO_PKG_VERSION"),
                summary.policy,
                summary.what,
            );
        }
        self.instance = Some(Rc::new(Instance {
            plugin,
            warnings: Throttle::default(),
        }));
        Ok(())
    }
}

impl<P: Plugin> Context for Root<P> {}

impl<P: Plugin> RootContext for Root<P> {
    fn on_configure(&mut self, _size: usize) -> bool {
        logger::init();
        match self.configure() {
            Ok(()) => true,
            Err(errors) => {
                log::error!("portcullis {}: configuration refused:\n{errors}", P::NAME);
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            instance: self.instance.clone(),
            state: P::Stream::default(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One HTTP stream. Without an instance (Envoy opens no stream before a successful configuration)
/// it lets everything pass.
struct Stream<P: Plugin> {
    instance: Option<Rc<Instance<P>>>,
    state: P::Stream,
}

impl<P: Plugin> Stream<P> {
    fn run(
        &mut self,
        phase: Phase,
        handle: impl FnOnce(&P, &mut P::Stream, &mut Exchange) -> Flow,
    ) -> Action {
        let Some(instance) = &self.instance else {
            return Action::Continue;
        };
        let mut exchange = Exchange::new(phase);
        let flow = handle(&instance.plugin, &mut self.state, &mut exchange);
        let action = match flow {
            Flow::Continue => {
                let committed = exchange.commit();
                exchange.settle(P::NAME, committed);
                Action::Continue
            }
            Flow::Reply(reply) => match send(&reply) {
                Ok(()) => Action::Pause,
                Err(status) => {
                    exchange.settle::<()>(P::NAME, Err(status.into()));
                    Action::Continue
                }
            },
        };
        for (plugin, error) in exchange.failures() {
            if let Some(held_back) = instance.warnings.admit(abi::monotonic_nanos()) {
                log::warn!(
                    "portcullis {plugin}: {error} (phase {phase:?}; {held_back} more since the \
                     last warning)"
                );
            }
        }
        action
    }
}

fn send(reply: &Reply) -> Result<(), abi::Status> {
    /// Envoy derives the gRPC status from the HTTP status.
    const DERIVED: i32 = -1;

    let grpc_status = reply.grpc_status.and_then(|code| i32::try_from(code).ok());
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (&name[..], &value[..]));
    abi::send_local_response(
        reply.status.into(),
        reply.details.as_bytes(),
        &reply.body,
        &pairs::encode(headers),
        grpc_status.unwrap_or(DERIVED),
    )
}

impl<P: Plugin> Context for Stream<P> {}

impl<P: Plugin> HttpContext for Stream<P> {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.run(Phase::Request, |plugin, state, exchange| {
            let flow = plugin.on_request(state, exchange);
            exchange.settle(P::NAME, flow)
        })
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.run(Phase::Response, |plugin, state, exchange| {
            let flow = plugin.on_response(state, exchange);
            exchange.settle(P::NAME, flow)
        })
    }

    fn on_log(&mut self) {
        self.run(Phase::Log, |plugin, state, exchange| {
            let logged = plugin.on_log(state, exchange);
            exchange.settle(P::NAME, logged);
            Flow::Continue
        });
    }
}
