//! The variants.

mod chain;
mod circuit_breaker;
mod host_calls;
mod jwt_auth;
mod rate_limit;
mod retry_budget;
mod security_headers;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::message::Response;
use serde_json::{Value, json};

use crate::options::Options;
pub(crate) use jwt_auth::now;

/// One Envoy of the comparison.
pub(crate) struct Variant {
    /// For `--only`.
    pub(crate) id: &'static str,
    /// For people.
    pub(crate) name: String,
    pub(crate) filter: Filter,
    /// Checks, after one request, with its response, that the filter works.
    pub(crate) works: fn(&Envoy, &Response) -> bool,
    /// Number of different keys in the requests.
    pub(crate) keys: usize,
    /// The `authorization` header of a request with a key.
    pub(crate) credentials: Option<Credentials>,
    /// The expected status of every response.
    pub(crate) status: u16,
    /// Whether it needs an upstream.
    needs_upstream: bool,
}

/// Returns the value of the `authorization` header for a key.
pub(crate) type Credentials = Arc<dyn Fn(usize) -> String + Send + Sync>;

/// The filters before the router.
pub(crate) enum Filter {
    Nothing,
    Native(Value),
    Wasm(Vec<WasmFilter>),
    /// Some of the plugins, by the names of their modules, with their configurations.
    Plugins(Vec<(&'static str, Value)>),
}

impl Filter {
    fn plugin(module: &'static str, configuration: Value) -> Self {
        Self::Plugins(vec![(module, configuration)])
    }

    pub(crate) fn add_to(&self, envoy: Builder) -> Builder {
        match self {
            Self::Nothing => envoy,
            Self::Native(filter) => envoy.native(filter.clone()),
            Self::Wasm(filters) => filters.iter().fold(envoy, Builder::plugin),
            Self::Plugins(plugins) => {
                plugins
                    .iter()
                    .fold(envoy, |envoy, (module, configuration)| {
                        envoy.plugin(&plugin(module, &artifacts::module(module), configuration))
                    })
            }
        }
    }
}

/// The variants to measure: the Envoy without filters and the one with the empty filter, which are the references, and the
/// requested ones.
pub(crate) fn chosen(options: &Options) -> Vec<Variant> {
    let mut chosen = vec![
        Variant::new("none", "no filter", Filter::Nothing, |_, _| true),
        Variant::new(
            "empty",
            "empty wasm filter",
            Filter::Wasm(vec![WasmFilter::module("empty", artifacts::empty_filter())]),
            |_, _| true,
        ),
    ];
    let can_run = |variant: &Variant| options.upstream || !variant.needs_upstream;
    for variant in all().filter(|variant| options.chooses(variant.id) && can_run(variant)) {
        let others = options.against.iter();
        let others: Vec<_> = others
            .filter_map(|modules| variant.of_another_build(modules))
            .collect();
        chosen.push(variant);
        chosen.extend(others);
    }
    chosen
}

/// The ids of all variants.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    let ids: BTreeSet<&str> = all().map(|variant| variant.id).collect();
    ids.into_iter()
}

fn all() -> impl Iterator<Item = Variant> {
    security_headers::variants()
        .into_iter()
        .chain(rate_limit::variants())
        .chain(retry_budget::variants())
        .chain(jwt_auth::variants())
        .chain(circuit_breaker::variants())
        .chain(chain::variants())
        .chain(host_calls::variants())
}

impl Variant {
    fn new(
        id: &'static str,
        name: &str,
        filter: Filter,
        works: fn(&Envoy, &Response) -> bool,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            filter,
            works,
            keys: 1,
            credentials: None,
            status: 200,
            needs_upstream: false,
        }
    }

    fn with_upstream(self) -> Self {
        Self {
            needs_upstream: true,
            ..self
        }
    }

    fn with_keys(self, keys: usize) -> Self {
        Self { keys, ..self }
    }

    fn with_credentials(
        self,
        credentials: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            credentials: Some(Arc::new(credentials)),
            ..self
        }
    }

    fn answered_with(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with the modules in another folder, if they exist there.
    fn of_another_build(&self, modules: &Path) -> Option<Self> {
        let Filter::Plugins(plugins) = &self.filter else {
            return None;
        };
        let other = |(module, configuration): &(&str, _)| {
            let file = modules.join(format!("{module}.wasm"));
            file.is_file().then(|| plugin(module, &file, configuration))
        };
        let filters: Option<Vec<_>> = plugins.iter().map(other).collect();
        filters.map(|filters| Self {
            name: format!("  the same, {}", modules.display()),
            filter: Filter::Wasm(filters),
            credentials: self.credentials.clone(),
            ..*self
        })
    }
}

fn plugin(name: &str, module: &Path, configuration: &Value) -> WasmFilter {
    WasmFilter::module(name, module).configuration(&configuration.to_string())
}

fn lua(script: &str) -> Filter {
    Filter::Native(json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    }))
}
