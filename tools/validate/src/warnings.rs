//! Warnings: configurations that load, but do not work as they appear to.

use crate::find::{Failure, FoundPlugin, Platform, Vm};
use crate::plugin::Plugin;
use crate::yaml::Node;

/// Settings of Envoy's connection manager that remove ambiguity from requests, each with the recommended value.
/// `docs/security.md` explains them.
const NORMALIZATION: [(&[&str], &str); 4] = [
    (&["normalize_path"], "true"),
    (&["merge_slashes"], "true"),
    (&["path_with_escaped_slashes_action"], "REJECT_REQUEST"),
    (
        &[
            "common_http_protocol_options",
            "headers_with_underscores_action",
        ],
        "REJECT_REQUEST",
    ),
];

/// Warns about missing settings of a connection manager, without which servers interpret some requests differently.
/// Returns lines and warnings.
pub(crate) fn normalization(manager: &Node) -> Vec<(usize, String)> {
    let lacking = NORMALIZATION.iter().filter_map(|(path, wanted)| {
        let setting = manager.at(path);
        if setting.and_then(Node::text) == Some(*wanted) {
            return None;
        }
        let warning = format!(
            "{}: {wanted} is not set: servers interpret some requests in different ways",
            path.join(".")
        );
        Some((setting.unwrap_or(manager).line, warning))
    });
    lacking.collect()
}

/// Warns about the treatment of requests while a plugin cannot run.
pub(crate) fn failure(found: &FoundPlugin<'_>, plugin: Plugin) -> Option<String> {
    match (found.failure, found.platform) {
        (Failure::Open, Platform::Envoy | Platform::Gateway) if found.is_remote => Some(format!(
            "fails open, and Envoy fetches the module: while the module is missing, or if {} refuses its \
             configuration, requests bypass the plugin, and only Envoy's log shows that",
            plugin.name()
        )),
        (Failure::Open, _) if plugin.name() == "jwt-auth" => {
            Some("fails open: if jwt-auth fails, requests pass without a token".to_owned())
        }
        (Failure::Open, _) if plugin.is_one_module() => Some(
            "fails open: if the module fails, requests pass without any of its plugins".to_owned(),
        ),
        (Failure::Closed, Platform::Envoy) => Some(
            "no `failure_policy: FAIL_RELOAD`: if the plugin fails, this worker answers 503 until Envoy \
             restarts"
                .to_owned(),
        ),
        (Failure::Closed, Platform::Istio) => Some(
            "no `failStrategy: FAIL_RELOAD` (since Istio 1.27): if the plugin fails, this worker answers 503 \
             until the proxy restarts"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The names of the clusters in a bootstrap; `None` if there may be others.
pub(crate) fn clusters(document: &Node) -> Option<Vec<&str>> {
    let resources = document.get("static_resources")?;
    if document.at(&["dynamic_resources", "cds_config"]).is_some()
        || document.at(&["dynamic_resources", "ads_config"]).is_some()
    {
        return None;
    }
    let clusters = resources.get("clusters").into_iter();
    let names = clusters.flat_map(Node::children);
    Some(
        names
            .filter_map(|cluster| cluster.text_at(&["name"]))
            .collect(),
    )
}

/// Warns about a breaker that a budget respects and that no known circuit-breaker defines. `own` lists the breakers of
/// the same module.
pub(crate) fn breaker(
    name: &str,
    own: &[String],
    vm: Vm<'_>,
    known: &[(Vm<'_>, String)],
) -> Option<String> {
    if own.iter().any(|other| other == name) {
        return None;
    }
    if vm == Vm::Own && own.is_empty() {
        return Some(
            "cannot find any breaker: Envoy Gateway gives each plugin its own vm_id, and plugins share state only \
             within one vm_id"
                .to_owned(),
        );
    }
    let in_sight = known.iter().filter(|(other, _)| *other == vm);
    let mut others = in_sight.filter(|_| vm != Vm::Own).peekable();
    let is_none_in_sight = own.is_empty() && others.peek().is_none();
    if is_none_in_sight || others.any(|(_, other)| other == name) {
        return None;
    }
    let place = match vm {
        Vm::Process => "in the library",
        Vm::Named(_) | Vm::Own => "with this vm_id",
    };
    Some(format!(
        "{name:?} is not a breaker of a circuit-breaker {place}: retries continue without it"
    ))
}
