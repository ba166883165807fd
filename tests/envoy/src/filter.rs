//! HTTP filters that are wasm plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{artifacts, yaml};

/// What the example says that each plugin may call, and be called for.
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
/// Its VM is shared with other plugins of the same `vm_id` and module. It restarts after a trap
/// (`FAIL_RELOAD`), so that one panic does not turn the rest of a test into 503s.
#[derive(Clone, Debug)]
pub struct WasmFilter {
    name: String,
    module: PathBuf,
    vm_id: String,
    configuration: Value,
    capabilities: Option<Value>,
}

impl WasmFilter {
    /// A plugin of this repository, such as `security-headers`, as `make build` left it.
    ///
    /// It may do no more than `envoy/examples/capability-restriction.yaml` says, so that every test is
    /// one of that list, too: of a call that is not allowed Envoy logs an error, and
    /// [`assert_no_vm_failed`](crate::envoy::Envoy::assert_no_vm_failed) finds it.
    pub fn plugin(name: &str) -> Self {
        let mut plugin = Self::module(name, artifacts::module(name));
        plugin.capabilities = CAPABILITIES.get(&name.replace('_', "-")).cloned();
        plugin
    }

    /// The same without one of the capabilities that it has.
    ///
    /// # Panics
    /// If it does not have it.
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

    /// Sets the plugin's configuration, the text of a JSON object; `{}` without this.
    #[must_use]
    pub fn configuration(mut self, json: &str) -> Self {
        self.configuration = string_value(json);
        self
    }

    /// Sets the configuration to any protobuf message in JSON form, with its `@type`. For tests
    /// of what a plugin does with a `Struct`, say.
    #[must_use]
    pub fn configuration_any(mut self, message: Value) -> Self {
        self.configuration = message;
        self
    }

    /// Sets the VM's id, which is the name space of shared data; `portcullis` without this.
    #[must_use]
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        self.vm_id = vm_id.to_owned();
        self
    }

    /// Where its module is.
    pub(crate) fn path(&self) -> &Path {
        &self.module
    }

    /// The filter as it stands in `http_filters`.
    ///
    /// # Panics
    /// If the module is missing, saying what to do.
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
