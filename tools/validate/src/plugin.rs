//! The plugins and the module of all plugins, and their configuration readers.

use std::fmt;

use portcullis::Entry;
use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::References;

/// One of the plugins, or the module of all of them.
#[derive(Clone, Copy)]
pub struct Plugin(&'static Entry);

impl Plugin {
    /// All of them. The module of all plugins is the last.
    pub fn all() -> impl Iterator<Item = Self> {
        let plugins = portcullis::ALL.iter();
        plugins.chain([&portcullis::ONE_MODULE]).map(Self)
    }

    /// Whether this is the module of all plugins.
    pub(crate) fn is_one_module(self) -> bool {
        self.0.name == portcullis::ONE_MODULE.name
    }

    /// Its name, such as `rate-limit`.
    pub fn name(self) -> String {
        self.0.name.replace('_', "-")
    }

    /// The JSON Schema of its configuration.
    pub const fn schema(self) -> &'static str {
        self.0.schema
    }

    /// The plugin of this name, with hyphens or underscores.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::all().find(|plugin| plugin.name() == name)
    }

    /// The plugin of this name with underscores, as the native library knows it.
    pub(crate) fn named_in_snake_case(name: &str) -> Option<Self> {
        Self::all().find(|plugin| plugin.0.name == name)
    }

    /// The plugin that gives its name to a module file, an image, a filter or a `root_id`. The name may have the
    /// prefix `portcullis-` and a version as a suffix.
    pub(crate) fn called(name: &str) -> Option<Self> {
        let file = name
            .rsplit('/')
            .next()?
            .to_ascii_lowercase()
            .replace('_', "-");
        let rest = file.strip_prefix("portcullis");
        let named = rest.and_then(|rest| rest.strip_prefix(['-', '.']));
        let named = named.unwrap_or(&file);
        Self::all().find(|plugin| match plugin.is_one_module() {
            // `portcullis.acme` is something else.
            true => rest.is_some_and(|rest| is_version(rest) || is_module(rest)),
            false => {
                let rest = named.strip_prefix(&plugin.name());
                rest.is_some_and(|rest| is_version(rest) || rest.starts_with('.'))
            }
        })
    }

    /// Reads a configuration as the plugin does in Envoy.
    pub(crate) fn read(self, text: &[u8]) -> Result<References, Errors> {
        self.0.read(Document::parse(text)?)
    }
}

/// Whether this is all that a name has behind a plugin's name: nothing, a version or a digest.
fn is_version(rest: &str) -> bool {
    let version = rest.strip_prefix('-').map(|it| it.trim_start_matches('v'));
    rest.is_empty()
        || rest.starts_with([':', '@', '?'])
        || version.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_module(rest: &str) -> bool {
    [".wasm", ".json"].iter().any(|end| rest.starts_with(end))
}

impl PartialEq for Plugin {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Plugin {}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules_images_and_filters_are_known() {
        for name in [
            "dist/rate_limit.wasm",
            "rate-limit",
            "/etc/envoy/rate_limit-0.2.0.wasm",
            "oci://registry.example/portcullis/rate-limit:0.1.0",
            "registry.example/rate-limit@sha256:00",
            "https://modules.example/0.1.0/rate_limit.wasm?token=x",
            "portcullis.rate_limit",
            "portcullis-rate-limit-v2",
        ] {
            assert_eq!(Plugin::called(name), Plugin::named("rate-limit"), "{name}");
        }
        for name in [
            "dist/portcullis.wasm",
            "portcullis",
            "/etc/envoy/portcullis-0.2.0.wasm",
            "oci://registry.example/portcullis/portcullis:0.1.0",
            "registry.example/portcullis@sha256:00",
        ] {
            assert_eq!(Plugin::called(name), Plugin::named("portcullis"), "{name}");
        }
        for name in [
            "",
            "portcullis.acme",
            "portcullis-by-acme",
            "portcullises",
            "my-rate-limit.wasm",
            "rate-limiter",
            "rate-limit-by-acme",
            "rate-limit/other.wasm",
            "envoy.filters.http.wasm",
        ] {
            assert_eq!(Plugin::called(name), None, "{name}");
        }
    }

    #[test]
    fn each_plugin_has_its_schema() {
        for plugin in Plugin::all() {
            let schema: serde_json::Value = serde_json::from_str(plugin.schema()).unwrap();
            assert_eq!(schema["title"], plugin.name());
            assert_eq!(
                Plugin::named(&plugin.name().replace('-', "_")),
                Some(plugin)
            );
        }
    }
}
