//! The statistics that Istio's proxies keep, and their labels.

use std::fs;

use portcullis_envoy_tests::yaml;
use serde_json::Value;

use crate::{Case, Check};

const VALUES: &str = "envoy/istio/mesh-values.yaml";
const LABELS: &str = "envoy/istio/labels.yaml";
const TAGS: &str = "envoy/stats_tags.yaml";

/// The files that use statistics.
const QUERIES: [&str; 4] = [
    "envoy/prometheus/recording.yaml",
    "envoy/prometheus/alerts.yaml",
    "envoy/prometheus/objective.yaml",
    "envoy/grafana/dashboards/portcullis.json",
];

/// Prefixes of the names that `pkg/bootstrap` of Istio 1.30 keeps by default.
const KEPT: [&str; 4] = ["server.", "wasm", "cluster_manager.", "listener_manager."];

/// Labels with the same prefix as statistics.
const NO_STATISTICS: [&str; 6] = [
    "envoy_cluster_name",
    "envoy_http_conn_manager_prefix",
    "envoy_resource_monitors_",
    "envoy_response_code_class",
    "envoy_route",
    "envoy_virtual_host",
];

pub(crate) fn cases() -> Result<Vec<Case>, String> {
    let values = document(VALUES)?;
    let mut lost = Vec::new();
    for file in QUERIES {
        for statistic in statistics(&read(file)?) {
            if !is_kept(&statistic, &values) {
                lost.push(format!("{file} asks for {statistic}, which is not kept"));
            }
        }
    }
    lost.sort();
    lost.dedup();
    let pointer = "/spec/configPatches/0/patch/value/stats_config";
    let labels = document(LABELS)?.pointer(pointer).cloned();
    let is_same = labels.is_some() && labels.as_ref() == document(TAGS)?.get("stats_config");
    let difference = (!is_same).then(|| format!("not the stats_config of {TAGS}"));
    Ok(vec![
        Case {
            name: format!("{VALUES}: statistics"),
            check: Check::Faults(lost),
        },
        Case {
            name: format!("{LABELS}: labels"),
            check: Check::Faults(difference.into_iter().collect()),
        },
    ])
}

/// The names of Envoy's own statistics in a text, as in Prometheus. Names with a colon belong to recording rules.
fn statistics(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c));
    words
        .filter(|word| word.starts_with("envoy_") && !word.contains(':'))
        .filter(|word| !NO_STATISTICS.contains(word))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn is_kept(statistic: &str, values: &Value) -> bool {
    let pointer = "/meshConfig/defaultConfig/proxyStatsMatcher";
    let listed = |name: &str| -> Vec<String> {
        let parts = values
            .pointer(pointer)
            .and_then(|it| it.get(name)?.as_array());
        let parts = parts.into_iter().flatten().filter_map(Value::as_str);
        parts.map(|part| part.replace('.', "_")).collect()
    };
    let name = statistic.trim_start_matches("envoy_");
    let kept = KEPT.iter().map(|part| part.replace('.', "_"));
    let mut beginnings = kept.chain(listed("inclusionPrefixes"));
    let mut ends = listed("inclusionSuffixes").into_iter();
    beginnings.any(|part| name.starts_with(&part)) || ends.any(|part| name.ends_with(&part))
}

fn document(file: &str) -> Result<Value, String> {
    let documents = yaml::documents(&read(file)?);
    let first = documents.map(|documents| documents.into_iter().next());
    first
        .and_then(|first| first.ok_or_else(|| "empty".to_owned()))
        .map_err(|error| format!("{file}: {error}"))
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statistic_is_kept_by_its_beginning_or_its_end() {
        let values = serde_json::json!({"meshConfig": {"defaultConfig": {"proxyStatsMatcher": {
            "inclusionPrefixes": ["http."], "inclusionSuffixes": ["default.remaining_rq"],
        }}}});
        for (statistic, kept) in [
            ("envoy_http_downstream_rq", true),
            ("envoy_server_live", true),
            ("envoy_cluster_circuit_breakers_default_remaining_rq", true),
            ("envoy_cluster_upstream_rq_active", false),
            ("envoy_vhost_route_upstream_rq", false),
        ] {
            assert_eq!(is_kept(statistic, &values), kept, "{statistic}");
        }
    }

    #[test]
    fn statistics_are_found_in_queries() {
        let query =
            "rate(envoy_http_downstream_rq_time_bucket{envoy_response_code_class=\"5\"}[1m])";
        assert_eq!(statistics(query), ["envoy_http_downstream_rq_time"]);
    }
}
