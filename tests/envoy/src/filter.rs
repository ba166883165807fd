//! HTTP filters that are plugins: of this repository on the host that the environment chooses, or any wasm module.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use portcullis_scenarios::placement::Host;
use serde_json::{Value, json};

use crate::{artifacts, yaml};

/// The example with each plugin's capabilities.
static CAPABILITIES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let file = artifacts::repository().join("envoy/examples/capability-restriction.yaml");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let documents = yaml::documents(&text).expect("YAML");
    let plugins = documents
        .iter()
        .flat_map(|document| yaml::plugins(document).expect("plugins"));
    plugins
        .filter_map(|plugin| Some((plugin.name, plugin.capabilities?)))
        .collect()
});

/// An HTTP filter.
pub trait HttpFilter {
    /// Its entry in `http_filters`.
    ///
    /// # Panics
    /// If its module or library is missing, with instructions.
    fn to_json(&self) -> Value;
}

/// A plugin of this repository on the chosen [`Host`], so that a test need not know which.
#[derive(Clone, Debug)]
pub enum PluginFilter {
    /// In WebAssembly.
    Wasm(WasmFilter),
    /// In the library.
    Library(LibraryFilter),
}

impl PluginFilter {
    /// A plugin, such as `security-headers`, from `make build`.
    pub fn new(name: &str) -> Self {
        match Host::chosen() {
            Host::Wasm => Self::Wasm(WasmFilter::plugin(name)),
            Host::Library => Self::Library(LibraryFilter::plugin(name)),
        }
    }

    /// The plugin of tests whose requests call the cluster `meter`.
    pub fn meter() -> Self {
        match Host::chosen() {
            Host::Wasm => Self::Wasm(WasmFilter::module("meter", artifacts::meter_filter())),
            Host::Library => Self::Library(LibraryFilter {
                file: Some(artifacts::meter_library()),
                ..LibraryFilter::plugin("meter")
            }),
        }
    }

    /// Sets the plugin's configuration, the text of a JSON object. The default is `{}`.
    #[must_use]
    pub fn configuration(self, json: &str) -> Self {
        match self {
            Self::Wasm(filter) => Self::Wasm(filter.configuration(json)),
            Self::Library(filter) => Self::Library(filter.configuration(json)),
        }
    }

    /// Sets the configuration to any protobuf message in JSON form, with its `@type`: for example, to test a `Struct`.
    #[must_use]
    pub fn configuration_any(self, message: Value) -> Self {
        match self {
            Self::Wasm(filter) => Self::Wasm(filter.configuration_any(message)),
            Self::Library(filter) => Self::Library(filter.configuration_any(message)),
        }
    }

    /// Separates the state of plugins in one Envoy: see [`WasmFilter::vm_id`]. In the library, only their names do.
    #[must_use]
    pub fn vm_id(self, vm_id: &str) -> Self {
        match self {
            Self::Wasm(filter) => Self::Wasm(filter.vm_id(vm_id)),
            Self::Library(filter) => Self::Library(filter),
        }
    }
}

impl HttpFilter for PluginFilter {
    fn to_json(&self) -> Value {
        match self {
            Self::Wasm(filter) => filter.to_json(),
            Self::Library(filter) => filter.to_json(),
        }
    }
}

/// A plugin of the library as an HTTP filter.
#[derive(Clone, Debug)]
pub struct LibraryFilter {
    name: String,
    /// The library, if it is not the shipped one.
    file: Option<PathBuf>,
    configuration: Value,
}

impl LibraryFilter {
    /// A plugin, such as `security-headers`, of `dist/libportcullis.so`, which Envoy finds by its search path.
    pub fn plugin(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: None,
            configuration: string_value("{}"),
        }
    }

    /// The same plugin of the library that panics on request, which is built with the tests.
    pub fn crashable(name: &str) -> Self {
        Self {
            file: Some(artifacts::crashable_library()),
            ..Self::plugin(name)
        }
    }

    /// Sets the plugin's configuration, the text of a JSON object. The default is `{}`.
    #[must_use]
    pub fn configuration(mut self, json: &str) -> Self {
        self.configuration = string_value(json);
        self
    }

    /// Sets the configuration to any protobuf message in JSON form, with its `@type`: for example, to test a `Struct`.
    #[must_use]
    pub fn configuration_any(mut self, message: Value) -> Self {
        self.configuration = message;
        self
    }
}

impl HttpFilter for LibraryFilter {
    fn to_json(&self) -> Value {
        let (library, reference) = match &self.file {
            None => (artifacts::library(), json!({"name": "portcullis"})),
            Some(library) => {
                let reference = json!({"module": {"local": {"filename": library}}});
                (library.clone(), reference)
            }
        };
        assert!(
            library.is_file(),
            "{} does not exist: run `make build` (for one of tests `tests/run build`)",
            library.display()
        );
        json!({
            "name": self.name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                "dynamic_module_config": reference,
                "filter_name": self.name.replace('-', "_"),
                "filter_config": self.configuration,
            },
        })
    }
}

/// A wasm plugin as an HTTP filter.
///
/// Plugins with the same `vm_id` and module share a VM. It restarts after a trap (`FAIL_RELOAD`), so that one panic does
/// not turn the rest of a test into 503s.
#[derive(Clone, Debug)]
pub struct WasmFilter {
    name: String,
    module: PathBuf,
    vm_id: String,
    configuration: Value,
    capabilities: Option<Value>,
}

impl WasmFilter {
    /// A plugin of this repository, such as `security-headers`, from `make build`.
    ///
    /// It has only the capabilities in `envoy/examples/capability-restriction.yaml`, so every test also tests that list:
    /// Envoy logs an error about a forbidden call, which
    /// [`assert_no_vm_failed`](crate::envoy::Envoy::assert_no_vm_failed) finds.
    pub fn plugin(name: &str) -> Self {
        let mut plugin = Self::module(name, artifacts::module(name));
        plugin.capabilities = CAPABILITIES.get(&name.replace('_', "-")).cloned();
        plugin
    }

    /// The same filter without one of its capabilities.
    ///
    /// # Panics
    /// If it does not have this capability.
    #[must_use]
    pub fn without_capability(mut self, name: &str) -> Self {
        let allowed = self
            .capabilities
            .as_mut()
            .and_then(|capabilities| capabilities["allowed_capabilities"].as_object_mut());
        let removed = allowed.and_then(|allowed| allowed.remove(name));
        assert!(removed.is_some(), "{} does not have {name}", self.name);
        self
    }

    /// A module at any path.
    pub fn module(name: &str, path: impl AsRef<Path>) -> Self {
        Self {
            name: name.to_owned(),
            module: path.as_ref().to_owned(),
            vm_id: "portcullis".to_owned(),
            configuration: string_value("{}"),
            capabilities: None,
        }
    }

    /// Sets the plugin's configuration, the text of a JSON object. The default is `{}`.
    #[must_use]
    pub fn configuration(mut self, json: &str) -> Self {
        self.configuration = string_value(json);
        self
    }

    /// Sets the configuration to any protobuf message in JSON form, with its `@type`: for example, to test a `Struct`.
    #[must_use]
    pub fn configuration_any(mut self, message: Value) -> Self {
        self.configuration = message;
        self
    }

    /// Sets the VM's id, which is the namespace of shared data. The default is `portcullis`.
    #[must_use]
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        self.vm_id = vm_id.to_owned();
        self
    }

    /// The path of its module.
    pub(crate) fn path(&self) -> &Path {
        &self.module
    }
}

impl HttpFilter for WasmFilter {
    fn to_json(&self) -> Value {
        assert!(
            self.module.is_file(),
            "{} does not exist: run `make build` (for a module of tests `make test-envoy` or `make \
             bench`)",
            self.module.display()
        );
        let mut config = json!({
            "name": self.name,
            "root_id": self.name,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": self.vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": self.module}},
            },
            "configuration": self.configuration,
        });
        // Envoy 1.40 moved the field.
        let restricted = match artifacts::envoy_version() < (1, 40) {
            true => &mut config,
            false => &mut config["vm_config"],
        };
        restricted["capability_restriction_config"] = json!(self.capabilities);
        json!({
            "name": self.name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            },
        })
    }
}

fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}
