//! The filters of a scenario, for the native host.

use portcullis::WithChain;
use portcullis_host::Chain;
use portcullis_scenarios::Filter;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host as host;
use proxy_wasm_native_host::FailurePolicy;

/// Converts a filter; `None` for one whose work the services do themselves: see [`Filter::Usage`]. As on the real Envoy, a crashed VM is reloaded, so that one panic does not turn all further
/// responses of a story into 503.
pub(crate) fn native(filter: &Filter) -> Option<host::Filter> {
    Some(match filter {
        Filter::Plugin { module, config } | Filter::CrashablePlugin { module, config } => {
            plugin(module, config)
        }
        Filter::Restricted {
            module,
            config,
            without,
        } => {
            let whole = plugin(module, config);
            without
                .iter()
                .fold(whole, |plugin, name| plugin.without_capability(name))
        }
        Filter::DenyAll => host::Filter::from_fn("deny-all", || {
            proxy_wasm::set_root_context(|_| Box::new(DenyAll));
        }),
        Filter::Usage => return None,
        Filter::Claims => host::Filter::from_fn("claims", claims_filter::start),
    })
}

fn plugin(module: &str, config: &str) -> host::Filter {
    let init = portcullis::with_chain(module, Start)
        .unwrap_or_else(|| panic!("there is no plugin {module}"));
    let filter = host::Filter::from_fn(module, init)
        .vm_id("portcullis")
        .config(config)
        .failure_policy(FailurePolicy::Reload);
    match module {
        // The module in `dist` does not export it, and learns in `proxy_on_delete` that a stream has ended.
        "rate_limit" => filter.without_capability("proxy_on_log"),
        _ => filter,
    }
}

struct DenyAll;

impl Context for DenyAll {}

impl RootContext for DenyAll {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(DenyAll))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for DenyAll {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.send_http_response(403, Vec::new(), Some(b"denied\n"));
        Action::Pause
    }
}

/// The function that starts the module of a chain.
struct Start;

impl WithChain for Start {
    type Output = fn();

    fn with<C: Chain>(self) -> fn() {
        portcullis_proxy_wasm::start::<C>
    }
}
