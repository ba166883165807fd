//! The YAML that users copy, in files and in blocks of READMEs, with the plugins and their configurations.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A plugin in YAML.
#[derive(Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name, such as `rate-limit`, from the path of its module, or from its name in the library.
    pub name: String,
    /// Its configuration, as the plugin receives it.
    pub configuration: String,
    /// `capability_restriction_config`, if present.
    pub capabilities: Option<Value>,
}

/// The documents of a YAML text, with anchors resolved, as in Envoy.
///
/// # Errors
/// The error in the text, with its place.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    yaml_serde::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(|error| error.to_string()))
        .collect()
}

/// All plugins in a document, anywhere in it: Envoy's filters, Istio's `WasmPlugin` and
/// `TrafficExtension`, Envoy Gateway's `EnvoyExtensionPolicy`.
///
/// # Errors
/// The missing part of a plugin.
pub fn plugins(document: &Value) -> Result<Vec<Plugin>, String> {
    let mut found = Vec::new();
    find(document, &mut found)?;
    Ok(found)
}

fn find(value: &Value, found: &mut Vec<Plugin>) -> Result<(), String> {
    if let Some(module) = value.pointer("/vm_config/code") {
        let place = ["/local/filename", "/remote/http_uri/uri"]
            .iter()
            .find_map(|pointer| module.pointer(pointer));
        let configuration = value.pointer("/configuration/value");
        found.push(plugin(place, configuration.map(text))?);
        if let (Some(plugin), Some(capabilities)) = (
            found.last_mut(),
            value.pointer("/vm_config/capability_restriction_config"),
        ) {
            plugin.capabilities = Some(capabilities.clone());
        }
    }
    if value.get("dynamic_module_config").is_some() {
        let configuration = value.pointer("/filter_config/value");
        // A filter, or the configuration of a route.
        let names = ["filter_name", "per_route_config_name"];
        let name = names.iter().find_map(|name| value.get(name));
        found.push(plugin(name, configuration.map(text))?);
    }
    match value.get("kind").and_then(Value::as_str) {
        Some("WasmPlugin") => {
            let configuration = value.pointer("/spec/pluginConfig");
            found.push(plugin(
                value.pointer("/spec/url"),
                configuration.map(Value::to_string),
            )?);
        }
        Some("TrafficExtension") => {
            let configuration = value.pointer("/spec/wasm/pluginConfig");
            found.push(plugin(
                value.pointer("/spec/wasm/url"),
                configuration.map(Value::to_string),
            )?);
        }
        Some("EnvoyExtensionPolicy") => {
            let extensions = value.pointer("/spec/wasm").and_then(Value::as_array);
            for extension in extensions.into_iter().flatten() {
                let url = extension.pointer("/code/image/url");
                found.push(plugin(url, extension.get("config").map(Value::to_string))?);
            }
        }
        _ => {}
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| find(item, found)),
        Value::Object(members) => members.values().try_for_each(|member| find(member, found)),
        _ => Ok(()),
    }
}

/// The settings of Envoy's connection manager that leave one reading of a request: JSON pointers with values.
/// `docs/security.md` explains them.
const ONE_READING: [(&str, &str); 4] = [
    ("/normalize_path", "true"),
    ("/merge_slashes", "true"),
    ("/path_with_escaped_slashes_action", "REJECT_REQUEST"),
    (
        "/common_http_protocol_options/headers_with_underscores_action",
        "REJECT_REQUEST",
    ),
];

/// The settings that HTTP connection managers in a document lack, so that a request could be read in several ways: one
/// line for each, with the manager's `stat_prefix`. A fragment in a manual has no such name.
pub fn ambiguities(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if is_connection_manager(document) {
        let name = document
            .pointer("/stat_prefix")
            .map_or_else(String::new, text);
        for (pointer, wanted) in ONE_READING {
            let setting = document.pointer(pointer);
            let is_set = match setting {
                Some(Value::Bool(value)) => value.to_string() == wanted,
                Some(Value::String(value)) => value == wanted,
                _ => false,
            };
            if !is_set {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                found.push(format!("{name}: not set: {field}: {wanted}"));
            }
        }
    }
    let below: Vec<&Value> = match document {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    found.extend(below.into_iter().flat_map(ambiguities));
    found
}

/// Recognized by its type, or, for a fragment in a manual, by its filters.
fn is_connection_manager(value: &Value) -> bool {
    let kind = value.get("@type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.ends_with(".v3.HttpConnectionManager"))
        || value.get("http_filters").is_some()
}

/// A text as it is, and anything else as JSON, which is what a plugin in the library receives of a `Struct`.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// `place` is a path or URL of the module, or a reference to an image.
fn plugin(place: Option<&Value>, configuration: Option<String>) -> Result<Plugin, String> {
    let place = place
        .and_then(Value::as_str)
        .ok_or("a plugin without a module")?;
    let file = Path::new(place).file_name().and_then(|name| name.to_str());
    let name = file
        .and_then(|file| file.split(['.', ':', '@']).next())
        .ok_or_else(|| format!("{place}: no name of a module"))?;
    Ok(Plugin {
        name: name.replace('_', "-"),
        configuration: configuration.ok_or_else(|| format!("{place}: no configuration"))?,
        capabilities: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let documents = documents(text).unwrap();
        let plugins = documents
            .iter()
            .flat_map(|document| plugins(document).unwrap());
        plugins
            .map(|plugin| (plugin.name, plugin.configuration))
            .collect()
    }

    fn pair(name: &str, configuration: &str) -> (String, String) {
        (name.to_owned(), configuration.to_owned())
    }

    #[test]
    fn filters_are_found_through_anchors() {
        let text = "
vm: &vm {code: {local: {filename: dist/rate_limit.wasm}}}
filters:
  - {vm_config: *vm, configuration: {value: '{\"a\": 1}'}}
  - vm_config: {code: {remote: {http_uri: {uri: 'https://modules.example/v1/jwt_auth.wasm'}}}}
    configuration: {value: '{}'}
";
        assert_eq!(
            found(text),
            [pair("rate-limit", "{\"a\": 1}"), pair("jwt-auth", "{}")]
        );
    }

    #[test]
    fn filters_of_the_library_and_configurations_of_routes_are_found() {
        let text = "
filters:
  - {dynamic_module_config: {name: portcullis}, filter_name: rate_limit, filter_config: {value: '{\"a\": 1}'}}
route:
  dynamic_module_config: {name: portcullis}
  per_route_config_name: rate_limit
  filter_config: {value: {a: 2}}
";
        assert_eq!(
            found(text),
            [
                pair("rate-limit", "{\"a\": 1}"),
                pair("rate-limit", "{\"a\":2}")
            ]
        );
    }

    #[test]
    fn resources_of_kubernetes_are_found_in_each_document() {
        let text = "
kind: WasmPlugin
spec: {url: 'oci://registry.example/portcullis/rate-limit:0.1.0', pluginConfig: {name: edge}}
---
kind: TrafficExtension
spec: {wasm: {url: 'oci://registry.example/portcullis/retry-budget:0.1.0', pluginConfig: {name: edge}}}
---
kind: EnvoyExtensionPolicy
spec:
  wasm:
    - {code: {image: {url: 'registry.example/portcullis/jwt-auth@sha256:00'}}, config: {name: mesh}}
";
        let expected = [
            pair("rate-limit", "{\"name\":\"edge\"}"),
            pair("retry-budget", "{\"name\":\"edge\"}"),
            pair("jwt-auth", "{\"name\":\"mesh\"}"),
        ];
        assert_eq!(found(text), expected);
    }

    #[test]
    fn capabilities_come_with_their_plugin() {
        let text = "
vm_config:
  code: {local: {filename: rate_limit.wasm}}
  capability_restriction_config: {allowed_capabilities: {proxy_log: {}}}
configuration: {value: '{}'}
";
        let document = &documents(text).unwrap()[0];
        let capabilities = plugins(document).unwrap()[0].capabilities.clone().unwrap();
        assert!(
            capabilities
                .pointer("/allowed_capabilities/proxy_log")
                .is_some()
        );
    }

    #[test]
    fn a_connection_manager_says_which_settings_it_lacks() {
        let text = "
filters:
  - typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: half
      normalize_path: true
      merge_slashes: false
      common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}
  - typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: whole
      normalize_path: true
      merge_slashes: true
      path_with_escaped_slashes_action: REJECT_REQUEST
      common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
";
        let expected = [
            "half: not set: merge_slashes: true",
            "half: not set: path_with_escaped_slashes_action: REJECT_REQUEST",
            "half: not set: common_http_protocol_options.headers_with_underscores_action: REJECT_REQUEST",
        ];
        assert_eq!(ambiguities(&documents(text).unwrap()[0]), expected);
    }

    #[test]
    fn what_is_missing_is_told() {
        let no_configuration =
            &documents("vm_config: {code: {local: {filename: a.wasm}}}").unwrap()[0];
        assert_eq!(
            plugins(no_configuration),
            Err("a.wasm: no configuration".to_owned())
        );
        let no_module = &documents("kind: WasmPlugin").unwrap()[0];
        assert!(plugins(no_module).is_err());
        assert!(documents("a: [").is_err());
    }
}
