//! What loads, and will not work as it seems to say.

use crate::find::{Failure, Found, Host, Vm};
use crate::plugin::Plugin;
use crate::yaml::Node;

/// What leaves one reading of a request, in Envoy's connection manager: fields, each with the value that does.
/// `docs/security.md` says what each is for.
const ONE_READING: [(&[&str], &str); 4] = [
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

/// Which settings a connection manager lacks, so that a request could be read in more than one way: the line
/// and the warning.
pub(crate) fn one_reading(manager: &Node) -> Vec<(usize, String)> {
    let lacking = ONE_READING.iter().filter_map(|(path, wanted)| {
        let setting = manager.at(path);
        if setting.and_then(Node::text) == Some(*wanted) {
            return None;
        }
        let warning = format!(
            "not set: {}: {wanted}: servers read some requests in more than one way",
            path.join(".")
        );
        Some((setting.unwrap_or(manager).line, warning))
    });
    lacking.collect()
}

/// What becomes of requests while a plugin cannot run.
pub(crate) fn failure(found: &Found<'_>, plugin: Plugin) -> Option<String> {
    match (found.failure, found.host) {
        (Failure::Open, Host::Envoy | Host::Gateway) if found.is_remote => Some(format!(
            "fails open, and Envoy fetches the module: while the module is missing, and if {} refuses its \
             configuration, requests pass without it, and Envoy says so only in its log",
            plugin.name()
        )),
        (Failure::Open, _) if plugin.name() == "jwt-auth" => {
            Some("fails open: if jwt-auth fails, requests pass without a token".to_owned())
        }
        (Failure::Open, _) if plugin.is_one_module() => Some(
            "fails open: if the module fails, requests pass without any of its plugins".to_owned(),
        ),
        (Failure::Closed, Host::Envoy) => Some(
            "no `failure_policy: FAIL_RELOAD`: if the plugin fails, this worker answers 503 until Envoy \
             restarts"
                .to_owned(),
        ),
        (Failure::Closed, Host::Istio) => Some(
            "no `failStrategy: FAIL_RELOAD` (since Istio 1.27): if the plugin fails, this worker answers 503 \
             until the proxy restarts"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The names of a bootstrap's clusters, if it has all there are.
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

/// A breaker that a budget respects and that no circuit-breaker has, where any is in sight. `own` are the breakers of
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
            "finds no breaker: Envoy Gateway gives each plugin a vm_id of its own, and state is shared only \
             under one"
                .to_owned(),
        );
    }
    let in_sight = known.iter().filter(|(other, _)| *other == vm);
    let mut others = in_sight.filter(|_| vm != Vm::Own).peekable();
    let is_none_in_sight = own.is_empty() && others.peek().is_none();
    if is_none_in_sight || others.any(|(_, other)| other == name) {
        return None;
    }
    Some(format!(
        "{name:?} is no breaker of the circuit-breaker with this vm_id: retries go on without it"
    ))
}
