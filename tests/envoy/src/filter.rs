//! HTTP filters that are wasm plugins.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artifacts;

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
}

impl WasmFilter {
    /// A plugin of this repository, such as `security-headers`, as `make build` left it.
    pub fn plugin(name: &str) -> Self {
        Self::module(name, artifacts::module(name))
    }

    /// A module at any path.
    pub fn module(name: &str, path: impl AsRef<Path>) -> Self {
        Self {
            name: name.to_owned(),
            module: path.as_ref().to_owned(),
            vm_id: "portcullis".to_owned(),
            configuration: string_value("{}"),
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

    /// The filter as it stands in `http_filters`.
    ///
    /// # Panics
    /// If the module is missing, saying what to do.
    pub(crate) fn to_json(&self) -> Value {
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
