//! The variants.

mod chain;
mod circuit_breaker;
mod host_calls;
mod jwt_auth;
mod library;
mod native;
mod rate_limit;
mod retry_budget;
mod security_headers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::message::Response;
use serde_json::{Value, json};

use crate::options::Options;
pub(crate) use jwt_auth::now;
use library::LibraryFilter;

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
    /// The variants to compare it with.
    pub(crate) partners: &'static [Partner],
    pub(crate) host: Host,
    /// The id of the variant without filters whose requests are as large.
    reference: &'static str,
    /// Whether it needs an upstream.
    needs_upstream: bool,
    /// Whether it is only for `--instructions`, or never.
    instructions: Option<bool>,
}

/// A variant that was measured.
pub(crate) struct Described {
    pub(crate) id: &'static str,
    pub(crate) name: String,
    pub(crate) host: Host,
    pub(crate) partners: &'static [Partner],
    pub(crate) reference: &'static str,
}

/// A variant that does comparable work, and is measured in the same run.
pub(crate) struct Partner {
    /// Of one variant, or of several whose costs add up.
    pub(crate) ids: &'static [&'static str],
    /// The highest ratio of instructions that the library may have.
    pub(crate) at_most: Option<f64>,
}

impl Partner {
    const fn at_most(ratio: f64, ids: &'static [&'static str]) -> Self {
        Self {
            ids,
            at_most: Some(ratio),
        }
    }

    const fn of(ids: &'static [&'static str]) -> Self {
        Self { ids, at_most: None }
    }
}

/// The id of the Envoy without filters.
pub(crate) const NONE: &str = "none";

/// Where a variant's filters run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    Envoy,
    Wasm,
    Library,
}

/// Returns the value of the `authorization` header for a key.
pub(crate) type Credentials = Arc<dyn Fn(usize) -> String + Send + Sync>;

/// The filters before the router.
pub(crate) enum Filter {
    Nothing,
    Native(Vec<Value>),
    Wasm(Vec<WasmFilter>),
    /// Filters of libraries in a folder.
    Library(PathBuf, Vec<LibraryFilter>),
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
            Self::Native(filters) => filters.iter().cloned().fold(envoy, Builder::native),
            Self::Wasm(filters) => filters.iter().fold(envoy, Builder::plugin),
            Self::Library(folder, filters) => filters
                .iter()
                .fold(envoy.libraries(folder), |envoy, filter| {
                    filter.add_to(envoy)
                }),
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
/// requested ones. A variant of a plugin is followed by the same in other builds and in the library, if they exist.
pub(crate) fn chosen(options: &Options) -> Vec<Variant> {
    let dist = artifacts::search_path();
    let has_library = LibraryFilter::is_in(&dist);
    let mut chosen = vec![
        Variant::new(NONE, "no filter", Filter::Nothing, |_, _| true),
        Variant::new(
            "empty",
            "empty wasm filter",
            Filter::Wasm(vec![WasmFilter::module("empty", artifacts::empty_filter())]),
            |_, _| true,
        ),
    ];
    if has_library {
        let filter = LibraryFilter {
            library: "empty_library",
            name: "empty",
            configuration: json!({}),
        };
        let filter = Filter::Library(artifacts::empty_library(), vec![filter]);
        chosen.push(Variant::new(
            "empty_library",
            "empty library filter",
            filter,
            |_, _| true,
        ));
    }
    let can_run = |variant: &Variant| {
        (options.upstream || !variant.needs_upstream)
            && variant
                .instructions
                .is_none_or(|only| only == options.instructions)
    };
    let requested = |variant: &Variant| options.chooses(variant.id) && can_run(variant);
    let partners: BTreeSet<&str> = all()
        .filter(requested)
        .flat_map(|variant| {
            variant
                .partners
                .iter()
                .flat_map(|partner| partner.ids.iter().copied())
        })
        .collect();
    let is_measured =
        |variant: &Variant| requested(variant) || can_run(variant) && partners.contains(variant.id);
    let references: BTreeSet<&str> = all()
        .filter(is_measured)
        .map(|variant| variant.reference)
        .collect();
    let is_chosen = |variant: &Variant| is_measured(variant) || references.contains(variant.id);
    for variant in all().filter(is_chosen) {
        let modules = options.against.iter();
        let modules = modules.filter_map(|folder| variant.of_another_build(folder));
        let library = has_library.then_some(&dist).into_iter();
        let libraries = library.chain(&options.against);
        let libraries = libraries.filter_map(|folder| variant.in_library(folder, folder == &dist));
        let others: Vec<Variant> = modules.chain(libraries).collect();
        let is_left_out = options.library && variant.host == Host::Wasm;
        let full_name = variant.name.clone();
        chosen.extend(Some(variant).filter(|_| !is_left_out));
        for mut other in others {
            if !options.library {
                chosen.push(other);
            } else if other.host == Host::Library {
                other.name = other.name.replace("  the same", &full_name);
                chosen.push(other);
            }
        }
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
        .chain(native::variants())
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
        let host = match filter {
            Filter::Nothing | Filter::Native(_) => Host::Envoy,
            Filter::Wasm(_) | Filter::Plugins(_) => Host::Wasm,
            Filter::Library(..) => Host::Library,
        };
        Self {
            id,
            name: name.to_owned(),
            filter,
            works,
            keys: 1,
            credentials: None,
            status: 200,
            partners: &[],
            host,
            reference: NONE,
            needs_upstream: false,
            instructions: None,
        }
    }

    /// The parts for the tables.
    pub(crate) fn described(&self) -> Described {
        Described {
            id: self.id,
            name: self.name.clone(),
            host: self.host,
            partners: self.partners,
            reference: self.reference,
        }
    }

    fn with_upstream(self) -> Self {
        Self {
            needs_upstream: true,
            ..self
        }
    }

    fn beyond(self, reference: &'static str) -> Self {
        Self { reference, ..self }
    }

    fn compared_with(self, partners: &'static [Partner]) -> Self {
        Self { partners, ..self }
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

    /// The same in the library of a folder, if there is one. The library has all five plugins as one filter, so five
    /// modules have no counterpart.
    fn in_library(&self, folder: &Path, is_own: bool) -> Option<Self> {
        if self.instructions.is_some() {
            return None;
        }
        let Filter::Plugins(plugins) = &self.filter else {
            return None;
        };
        let [(plugin, configuration)] = plugins.as_slice() else {
            return None;
        };
        LibraryFilter::is_in(folder).then(|| Self {
            name: match is_own {
                true => "  the same, in the library".to_owned(),
                false => format!("  the same, library of {}", folder.display()),
            },
            filter: Filter::Library(
                folder.to_owned(),
                vec![LibraryFilter::plugin(plugin, configuration)],
            ),
            credentials: self.credentials.clone(),
            host: Host::Library,
            ..*self
        })
    }
}

fn plugin(name: &str, module: &Path, configuration: &Value) -> WasmFilter {
    WasmFilter::module(name, module).configuration(&configuration.to_string())
}

fn lua(script: &str) -> Filter {
    Filter::Native(vec![json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    })])
}
