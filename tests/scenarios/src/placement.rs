//! Where the plugins of a scenario run: in WebAssembly or in the library; each as a filter of its own, or all as one.

use std::env;

use serde_json::{Map, Value};

use crate::Filter;

/// With this variable in the environment, all plugins run in the module of all plugins.
const ONE_MODULE: &str = "PORTCULLIS_ONE_MODULE";
/// That module.
pub const MODULE: &str = "portcullis";
/// The order in which requests pass the plugins in that module.
pub const ORDER: [&str; 5] = [
    "security_headers",
    "jwt_auth",
    "rate_limit",
    "circuit_breaker",
    "retry_budget",
];

/// `library` in this variable runs the plugins of tests on Envoy in the library; `wasm`, the default, in WebAssembly.
const HOST: &str = "PORTCULLIS_HOST";

/// What the plugins are to Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Modules for proxy-wasm. The native host behaves like these.
    Wasm,
    /// A library in Envoy's process: `dist/libportcullis.so`, a dynamic module.
    Library,
}

impl Host {
    /// The host that the environment chooses.
    ///
    /// # Panics
    /// If the environment names another host.
    pub fn chosen() -> Self {
        match env::var(HOST).as_deref() {
            Ok("library") => Self::Library,
            Ok("wasm" | "") | Err(_) => Self::Wasm,
            Ok(other) => panic!("{HOST} is {other}: neither wasm nor library"),
        }
    }
}

/// Whether all plugins run in one module.
pub fn is_one_module() -> bool {
    env::var_os(ONE_MODULE).is_some_and(|value| value == "1")
}

/// The filters as they are to run. In the mode of one module, neighbours in a chain become one filter, as far as
/// that module has their order; all others become a filter each, of the same module with one member.
pub fn placed(filters: &[Filter]) -> Vec<Filter> {
    match is_one_module() {
        true => in_one_module(filters),
        false => filters.to_vec(),
    }
}

fn in_one_module(filters: &[Filter]) -> Vec<Filter> {
    let mut placed: Vec<Filter> = Vec::new();
    // The last filter, as long as plugins can join it: its members, and the place of its last plugin.
    let mut open: Option<(Map<String, Value>, usize)> = None;
    for filter in filters {
        let joins = match filter {
            Filter::Plugin { module, config } if *module != MODULE => Some((*module, config)),
            _ => None,
        };
        let Some((module, config)) = joins else {
            open = None;
            placed.push(alone(filter));
            continue;
        };
        let place = place(module);
        let (mut members, is_new) = match open.take() {
            Some((members, last)) if last < place => (members, false),
            _ => (Map::new(), true),
        };
        members.insert(module.to_owned(), parsed(config));
        let merged = Filter::Plugin {
            module: MODULE,
            config: Value::Object(members.clone()).to_string(),
        };
        match placed.last_mut().filter(|_| !is_new) {
            Some(last) => *last = merged,
            None => placed.push(merged),
        }
        open = Some((members, place));
    }
    placed
}

/// A filter that stays one: a VM that is to crash takes no other plugin with it, and one without a capability
/// affects no other.
fn alone(filter: &Filter) -> Filter {
    let member = |module: &str, config: &str| {
        let members = Map::from_iter([(module.to_owned(), parsed(config))]);
        Value::Object(members).to_string()
    };
    match filter {
        Filter::CrashablePlugin { module, config } => Filter::CrashablePlugin {
            module: MODULE,
            config: member(module, config),
        },
        Filter::Restricted {
            module,
            config,
            without,
        } => Filter::Restricted {
            module: MODULE.to_owned(),
            config: member(module, config),
            without: without.clone(),
        },
        other => other.clone(),
    }
}

fn place(module: &str) -> usize {
    let place = ORDER.iter().position(|name| *name == module);
    place.unwrap_or_else(|| panic!("{module} has no place in the one module"))
}

fn parsed(config: &str) -> Value {
    serde_json::from_str(config).expect("the configuration of a scenario is JSON")
}
