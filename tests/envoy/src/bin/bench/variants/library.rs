//! The library: the plugins as an Envoy dynamic module, inside Envoy's process.

use std::path::Path;

use portcullis_envoy_tests::envoy::Builder;
use serde_json::{Value, json};

/// A filter of a dynamic module.
pub(crate) struct LibraryFilter {
    /// The library's name: Envoy loads `lib<name>.so`.
    pub(crate) library: &'static str,
    /// The filter's name in the library.
    pub(crate) name: &'static str,
    pub(crate) configuration: Value,
}

impl LibraryFilter {
    /// A plugin by the name of its module, or all five as `portcullis`.
    pub(crate) fn plugin(name: &'static str, configuration: &Value) -> Self {
        Self {
            library: "portcullis",
            name,
            configuration: configuration.clone(),
        }
    }

    /// Whether Envoy finds the plugins' library in this folder.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join("libportcullis.so").is_file()
    }

    pub(crate) fn add_to(&self, envoy: Builder) -> Builder {
        let text = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": self.configuration.to_string(),
        });
        envoy.native(json!({
            "name": self.name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                "dynamic_module_config": {"name": self.library},
                "filter_name": self.name,
                "filter_config": text,
            },
        }))
    }
}
