//! Finds plugins in a document: Envoy filters, and resources of Istio and Envoy Gateway.

use crate::plugin::Plugin;
use crate::yaml::Node;

/// A plugin in WebAssembly or in a native library, from Portcullis or another vendor.
#[derive(Debug)]
pub(crate) struct FoundPlugin<'a> {
    /// The name that its author gave it.
    pub(crate) label: &'a str,
    pub(crate) plugin: Option<Plugin>,
    pub(crate) line: usize,
    pub(crate) configuration: Configuration<'a>,
    pub(crate) platform: Platform,
    /// The treatment of requests while the plugin cannot run.
    pub(crate) failure: Failure,
    /// The line that configures it, or that of the plugin.
    pub(crate) failure_line: usize,
    /// Whether Envoy fetches the module itself.
    pub(crate) is_remote: bool,
    /// Plugins with the same value share state.
    pub(crate) vm: Vm<'a>,
    /// The connection manager that contains it.
    pub(crate) manager: Option<&'a Node>,
}

/// The software that reads the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Envoy,
    /// Envoy, with the plugin in the native library.
    Library,
    Istio,
    Gateway,
}

/// The configuration that the plugin receives.
#[derive(Debug)]
pub(crate) enum Configuration<'a> {
    /// An empty one.
    Missing,
    /// The text of a scalar.
    Text(&'a Node),
    /// A value that is converted to JSON.
    Value(&'a Node),
    /// A protobuf message other than a string.
    Protobuf(&'a Node),
    /// Something that Envoy itself refuses, with the expected form.
    Wrong(&'a Node, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Open,
    Closed,
    Reload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vm<'a> {
    Named(&'a str),
    /// A VM of its own.
    Own,
    /// None: the library keeps its state in the process.
    Process,
}

/// All plugins in a document, at any depth.
pub(crate) fn plugins(document: &Node) -> Vec<FoundPlugin<'_>> {
    let mut found = Vec::new();
    walk(document, Context::default(), &mut found);
    found
}

/// The context of a value.
#[derive(Clone, Copy, Default)]
struct Context<'a> {
    manager: Option<&'a Node>,
    filter: Option<&'a str>,
}

fn walk<'a>(node: &'a Node, mut context: Context<'a>, found: &mut Vec<FoundPlugin<'a>>) {
    if node.is_object() {
        if is_connection_manager(node) {
            context.manager = Some(node);
        }
        if node.get("typed_config").is_some() {
            context.filter = node.text_at(&["name"]);
        }
        if node.at(&["vm_config", "code"]).is_some() {
            found.push(in_envoy(node, context));
        }
        if let Some(module) = node.get("dynamic_module_config") {
            found.push(in_library(node, module, context));
        }
        match node.text_at(&["kind"]) {
            Some("WasmPlugin") => found.extend(in_istio(node, node.get("spec"))),
            Some("TrafficExtension") => found.extend(in_istio(node, node.at(&["spec", "wasm"]))),
            Some("EnvoyExtensionPolicy") => {
                let plugins = node.at(&["spec", "wasm"]).into_iter();
                found.extend(plugins.flat_map(Node::children).map(in_gateway));
            }
            _ => {}
        }
    }
    for child in node.children() {
        walk(child, context, found);
    }
}

/// Recognises a connection manager by its type, and a fragment of one by its filters.
fn is_connection_manager(node: &Node) -> bool {
    let kind = node.text_at(&["@type"]);
    kind.is_some_and(|kind| kind.ends_with(".HttpConnectionManager"))
        || node.get("http_filters").is_some()
}

/// `PluginConfig` of Envoy.
fn in_envoy<'a>(node: &'a Node, context: Context<'a>) -> FoundPlugin<'a> {
    let remote = node.text_at(&["vm_config", "code", "remote", "http_uri", "uri"]);
    let local = node.text_at(&["vm_config", "code", "local", "filename"]);
    let name = node.text_at(&["name"]);
    let names = [
        local,
        remote,
        node.text_at(&["root_id"]),
        name,
        context.filter,
    ];
    let policy = node.get("failure_policy");
    let fail_open = node.get("fail_open");
    let failure = match (policy.and_then(Node::text), fail_open.and_then(Node::text)) {
        (Some("FAIL_RELOAD"), _) => Failure::Reload,
        (Some("FAIL_OPEN"), _) | (None, Some("true")) => Failure::Open,
        _ => Failure::Closed,
    };
    FoundPlugin {
        label: first(&[name, context.filter, local, remote]),
        plugin: identify(&names),
        line: node.line,
        configuration: envoy_configuration(node.get("configuration")),
        platform: Platform::Envoy,
        failure,
        failure_line: policy.or(fail_open).map_or(node.line, |it| it.line),
        is_remote: node.at(&["vm_config", "code", "remote"]).is_some(),
        vm: Vm::Named(node.text_at(&["vm_config", "vm_id"]).unwrap_or_default()),
        manager: context.manager,
    }
}

/// `DynamicModuleFilter`, or `DynamicModuleFilterPerRoute` for one route.
fn in_library<'a>(node: &'a Node, module: &Node, context: Context<'a>) -> FoundPlugin<'a> {
    // The second is an older name of the first, for routes.
    let names = [
        node.text_at(&["filter_name"]),
        node.text_at(&["per_route_config_name"]),
    ];
    let name = names.into_iter().flatten().next();
    let file = module.text_at(&["module", "local", "filename"]);
    let is_ours = module.text_at(&["name"]) == Some("portcullis")
        || file.is_some_and(|file| file.ends_with("/libportcullis.so"));
    FoundPlugin {
        label: first(&[name, context.filter]),
        plugin: name
            .filter(|_| is_ours)
            .and_then(Plugin::named_in_snake_case),
        line: node.line,
        configuration: library_configuration(node.get("filter_config")),
        platform: Platform::Library,
        failure: Failure::Closed,
        failure_line: node.line,
        is_remote: false,
        vm: Vm::Process,
        manager: context.manager,
    }
}

/// As for WebAssembly, except that Envoy converts a `Struct` to JSON.
fn library_configuration(configuration: Option<&Node>) -> Configuration<'_> {
    let kind = configuration.and_then(|message| message.text_at(&["@type"]));
    let is_struct = kind.is_some_and(|kind| kind.ends_with("/google.protobuf.Struct"));
    match configuration.filter(|_| is_struct) {
        Some(message) => value(message.get("value")),
        None => envoy_configuration(configuration),
    }
}

/// `configuration` is a protobuf message of any type. Plugins receive the text of a string, and the bytes of any
/// other message.
fn envoy_configuration(configuration: Option<&Node>) -> Configuration<'_> {
    let Some(message) = configuration.filter(|node| !node.is_null()) else {
        return Configuration::Missing;
    };
    let Some(kind) = message.text_at(&["@type"]) else {
        return Configuration::Wrong(
            message,
            "expected a message with \"@type\": type.googleapis.com/google.protobuf.StringValue, and the \
             JSON text as its value",
        );
    };
    let value = message.get("value");
    match (kind.rsplit('/').next(), value) {
        (Some("google.protobuf.StringValue"), None) => Configuration::Missing,
        (Some("google.protobuf.StringValue"), Some(value)) if value.text().is_some() => {
            Configuration::Text(value)
        }
        (Some("google.protobuf.StringValue"), Some(value)) => Configuration::Wrong(
            value,
            "expected the JSON text as a string: put it in quotes, or in a block after `|`",
        ),
        (_, Some(value)) if value.children().next().is_none() && value.is_object() => {
            Configuration::Missing
        }
        _ => Configuration::Protobuf(message),
    }
}

/// `WasmPlugin`, or `TrafficExtension` with the same fields in `spec.wasm`.
fn in_istio<'a>(resource: &'a Node, wasm: Option<&'a Node>) -> Option<FoundPlugin<'a>> {
    let wasm = wasm?;
    let url = wasm.text_at(&["url"]);
    let plugin_name = wasm.text_at(&["pluginName"]);
    let name = resource.text_at(&["metadata", "name"]);
    let strategy = wasm.get("failStrategy");
    let failure = match strategy.and_then(Node::text) {
        Some("FAIL_RELOAD") => Failure::Reload,
        Some("FAIL_OPEN") => Failure::Open,
        _ => Failure::Closed,
    };
    Some(FoundPlugin {
        label: first(&[name, plugin_name, url]),
        plugin: identify(&[url, plugin_name, name]),
        line: resource.line,
        configuration: value(wasm.get("pluginConfig")),
        platform: Platform::Istio,
        failure,
        failure_line: strategy.map_or(resource.line, |it| it.line),
        // Istio's agent fetches the module and passes a file to Envoy.
        is_remote: false,
        vm: Vm::Named(""),
        manager: None,
    })
}

/// One plugin of `EnvoyExtensionPolicy`.
fn in_gateway(wasm: &Node) -> FoundPlugin<'_> {
    let url = wasm
        .text_at(&["code", "image", "url"])
        .or_else(|| wasm.text_at(&["code", "http", "url"]));
    let name = wasm.text_at(&["name"]);
    let fail_open = wasm.get("failOpen");
    let failure = match fail_open.and_then(Node::text) {
        Some("true") => Failure::Open,
        _ => Failure::Closed,
    };
    FoundPlugin {
        label: first(&[name, url]),
        plugin: identify(&[url, wasm.text_at(&["rootID"]), name]),
        line: wasm.line,
        configuration: value(wasm.get("config")),
        platform: Platform::Gateway,
        failure,
        failure_line: fail_open.map_or(wasm.line, |it| it.line),
        is_remote: true,
        vm: Vm::Own,
        manager: None,
    }
}

fn value(configuration: Option<&Node>) -> Configuration<'_> {
    match configuration.filter(|node| !node.is_null()) {
        Some(configuration) => Configuration::Value(configuration),
        None => Configuration::Missing,
    }
}

/// The plugin of the first name that is a plugin's. Callers put the module first: it is more reliable than the
/// filter.
fn identify(names: &[Option<&str>]) -> Option<Plugin> {
    names.iter().flatten().find_map(|name| Plugin::called(name))
}

fn first<'a>(names: &[Option<&'a str>]) -> &'a str {
    names.iter().flatten().next().copied().unwrap_or("a plugin")
}
