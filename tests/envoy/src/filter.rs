//! HTTP filters that are wasm plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

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

    /// The filter's entry in `http_filters`.
    ///
    /// # Panics
    /// If the module is missing, with instructions.
    pub fn to_json(&self) -> Value {
        assert!(
            self.module.is_file(),
            "{} does not exist: run `make build` (for a module of tests `make test-envoy` or `make \
             bench`)",
            self.module.display()
        );
        json!({
            "name": self.name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": self.name,
                    "root_id": self.name,
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": self.vm_id,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": self.module}},
                        "capability_restriction_config": self.capabilities,
                    },
                    "configuration": self.configuration,
                },
            },
        })
    }
}

fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}
