//! envoy_tcp_routing: a network filter, which this host does not run.

use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host::{Filter, Host, Request};

struct Router;

impl Context for Router {}

impl RootContext for Router {
    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

impl StreamContext for Router {
    fn on_new_connection(&mut self) -> Action {
        Action::Continue
    }
}

#[test]
#[should_panic(expected = "filter \"router\" is a network filter")]
fn it_is_refused_at_once() {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Router));
    let host = Host::builder()
        .filter(Filter::from_fn("router", init))
        .start()
        .unwrap();
    host.send(Request::get("/"));
}
