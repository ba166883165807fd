//! Envoy's own filters that do work comparable to a plugin's, if no plugin's file has them.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use serde_json::{Value, json};

use super::{Filter, Partner, Variant};

/// Both judge the results of earlier requests, as circuit-breaker and retry-budget do.
pub(super) const ADMISSION_CONTROL: &[Partner] = &[Partner::at_most(1.5, &["admission_control"])];

pub(super) fn variants() -> Vec<Variant> {
    vec![
        Variant::new(
            "admission_control",
            "native admission_control",
            Filter::Native(vec![admission_control()]),
            admits,
        ),
        Variant::new(
            "csrf",
            "native csrf",
            Filter::Native(vec![csrf()]),
            |envoy, _| {
                envoy
                    .stats()
                    .get("http.ingress.csrf.request_valid")
                    .is_some()
            },
        ),
    ]
}

pub(super) fn admits(envoy: &Envoy, _: &Response) -> bool {
    envoy.counter("http.ingress.admission_control.rq_success") == 1
}

/// Nothing fails, so it admits everything.
pub(super) fn admission_control() -> Value {
    json!({
        "name": "admission_control",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl",
            "enabled": {"default_value": true, "runtime_key": "bench.admission_control"},
            "sampling_window": "30s",
            "success_criteria": {
                "http_criteria": {"http_success_status": [{"start": 100, "end": 500}]},
                "grpc_criteria": {"grpc_success_status": [0]},
            },
        },
    })
}

/// It checks the origin of requests that change something; the load has none.
pub(super) fn csrf() -> Value {
    json!({
        "name": "csrf",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
            "filter_enabled": {"default_value": {"numerator": 100}},
        },
    })
}
