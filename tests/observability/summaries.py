"""The text that an operator reads in an alert: its summary, for every set of labels that it can have.

promtool renders the annotations and compares them with those here: for each alert, the labels other than
`component`, and the summary.
"""

import json
import pathlib
import subprocess

from queries import rules

# Everything that can be wrong, all at once: series, and their values minute by minute.
WRONG = {
    'up{job="envoy",instance="a"}': "1x60",
    'up{job="envoy",instance="b"}': "0x60",
    'envoy_server_uptime{job="edge",instance="c"}': "1x5 _x60",
    'envoy_server_uptime{job="envoy",instance="a"}': "0+60x34 10 70 10 70 10 70 10 70 10x20",
    'envoy_http_downstream_rq_total{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge"}': "0+1000x60",
    'envoy_http_downstream_rq_completed{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge"}': "0+400x60",
    'envoy_http_downstream_rq_xx{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge",'
    'envoy_response_code_class="5"}': "0+100x60",
    'envoy_http_downstream_rq_time_bucket{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge",le="1000"}':
        "0x60",
    'envoy_http_downstream_rq_time_bucket{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge",le="2000"}':
        "0+1000x60",
    'envoy_http_downstream_rq_time_bucket{job="envoy",instance="a",envoy_http_conn_manager_prefix="edge",le="+Inf"}':
        "0+1000x60",
    'envoy_overload_envoy_resource_monitors_fixed_heap_pressure{job="envoy",instance="a"}': "90x60",
    'envoy_cluster_upstream_rq_active{job="envoy",instance="a",envoy_cluster_name="shop"}': "80x60",
    'envoy_cluster_circuit_breakers_default_remaining_rq{job="envoy",instance="a",envoy_cluster_name="shop"}': "20x60",
    'portcullis_circuit_breaker_state{job="envoy",instance="a",policy="edge",breaker="shop"}': "2x60",
    'portcullis_circuit_breaker_opened{job="envoy",instance="a",policy="edge",breaker="shop",reason="rate"}':
        "0+1x60",
    'portcullis_retry_budget_denied{job="envoy",instance="a",policy="edge",budget="shop",reason="budget_empty"}':
        "0+60x60",
    'portcullis_rate_limit_service_out{job="envoy",instance="a",policy="edge",service="main"}': "1x60",
    'portcullis_retry_budget_breaker_missing{job="envoy",instance="a",policy="edge",budget="shop"}': "1x60",
    'portcullis_jwt_auth_jwks_missing{job="envoy",instance="a",policy="edge",provider="corp"}': "1x60",
    'portcullis_jwt_auth_jwks_age_seconds{job="envoy",instance="a",policy="edge",provider="corp"}': "79200x60",
    'portcullis_jwt_auth_revocation_age_seconds{job="envoy",instance="a",policy="edge"}': "5400x60",
    'portcullis_jwt_auth_revocation_missing{job="envoy",instance="b",policy="edge"}': "1x60",
    'portcullis_rate_limit_evictions{job="envoy",instance="a",policy="edge",limit="ip"}': "0+60x60",
    'portcullis_rate_limit_fleet_evictions{job="envoy",instance="a",policy="edge",limit="ip"}': "0+60x60",
    'portcullis_circuit_breaker_evictions{job="envoy",instance="a",policy="edge",breaker="shop"}': "0+60x60",
    'portcullis_retry_budget_evictions{job="envoy",instance="a",policy="edge",budget="shop"}': "0+60x60",
    'portcullis_rate_limit_errors{job="envoy",instance="a",policy="edge",limit="ip"}': "0+60x60",
    'portcullis_circuit_breaker_errors{job="envoy",instance="a",policy="edge",breaker="shop"}': "0+60x60",
    'portcullis_retry_budget_errors{job="envoy",instance="a",policy="edge",budget="shop"}': "0+60x60",
    'portcullis_security_headers_errors{job="envoy",instance="a",policy="edge"}': "0+60x60",
    'portcullis_jwt_auth_decisions{job="envoy",instance="a",policy="edge",rule="all",outcome="refused",'
    'reason="error"}': "0+60x60",
    'envoy_wasm_vm_reload_success{job="envoy",instance="a",wasm_plugin="jwt-auth"}': "0+1x60",
    'envoy_wasm_vm_reload_failure{job="envoy",instance="a",wasm_plugin="jwt-auth"}': "0+1x60",
}
AFTER_MINUTES = 45

INSTANCE = {"job": "envoy", "instance": "a"}
LISTENER = {"job": "envoy", "envoy_http_conn_manager_prefix": "edge"}
BREAKER = {"job": "envoy", "policy": "edge", "breaker": "shop"}
SERVICE = {"job": "envoy", "policy": "edge", "service": "main"}
BUDGET = {"job": "envoy", "policy": "edge", "budget": "shop"}
PROVIDER = {"job": "envoy", "policy": "edge", "provider": "corp"}
SLO = LISTENER | {"slo": "listener edge"}

SUMMARIES = {
    "EnvoyDown": [
        ("critical", {"job": "envoy", "instance": "b"}, "b cannot be scraped (job envoy)"),
        ("critical", {"job": "edge", "targets": "none"}, "No Envoy is scraped (job edge)"),
    ],
    "EnvoyRestarts": [("warning", INSTANCE, "a (job envoy) has restarted 5 times in 15 minutes")],
    "HighErrorRate": [
        (severity, LISTENER, "25% of the requests on edge fail with 5xx") for severity in ("critical", "warning")
    ],
    "HighUnansweredRate": [
        (severity, LISTENER, "60% of the requests on edge end without a response")
        for severity in ("critical", "warning")
    ],
    "HighLatency": [
        (severity, LISTENER, "One in a hundred requests on edge takes over 1.99k ms")
        for severity in ("critical", "warning")
    ],
    "HighSaturation": [
        ("critical", INSTANCE | {"resource": "fixed_heap"}, "fixed_heap of a is 90% full"),
        ("warning", INSTANCE | {"resource": "fixed_heap"}, "fixed_heap of a is 90% full"),
        ("warning", INSTANCE | {"resource": "cluster shop"}, "cluster shop of a is 80% full"),
    ],
    "ErrorBudgetBurn": [
        (
            severity,
            SLO | {"window": window},
            f"{ratio} of the requests to listener edge fail: at this rate, the error budget does not last 30 days",
        )
        for severity, window, ratio in [
            ("critical", "1h", "18.75%"),
            ("critical", "6h", "3.125%"),
            ("warning", "1d", "0.7812%"),
            ("warning", "3d", "0.2604%"),
        ]
    ],
    "CircuitBreakerOpen": [("warning", BREAKER, "The breaker edge/shop does not stay closed")],
    "CircuitBreakerFlapping": [
        ("warning", BREAKER, "The breaker edge/shop has opened 30 times in 30 minutes on one Envoy")
    ],
    "RetryBudgetEmpty": [
        ("warning", BUDGET | {"reason": "budget_empty"}, "The budget edge/shop keeps denying retries (budget_empty)")
    ],
    "RateLimitServiceOut": [
        ("warning", SERVICE | INSTANCE, "The rate-limit service edge/main does not answer a")
    ],
    "RetryBudgetBreakerMissing": [
        ("warning", BUDGET | INSTANCE, "The budget edge/shop on a does not find its breaker")
    ],
    "JwksMissing": [("critical", PROVIDER | INSTANCE, "a has no keys of the provider edge/corp")],
    "JwksStale": [
        (severity, PROVIDER, "The keys of the provider edge/corp are 22h 0m 0s old")
        for severity in ("critical", "warning")
    ],
    "RevocationListStale": [
        ("warning", INSTANCE | {"policy": "edge"}, "The revocation list of edge on a is 1h 30m 0s old"),
        (
            "warning",
            {"job": "envoy", "instance": "b", "policy": "edge"},
            "The revocation list of edge on b has never been fetched",
        ),
    ],
    "TableEvictions": [
        (
            "warning",
            INSTANCE | {"plugin": plugin, "policy": "edge", kind: name},
            f"{plugin} edge/{name} on a keeps evicting keys",
        )
        for plugin, kind, name in [
            ("rate-limit", "limit", "ip"),
            ("rate-limit, leases of", "limit", "ip"),
            ("circuit-breaker", "breaker", "shop"),
            ("retry-budget", "budget", "shop"),
        ]
    ],
    "PolicyErrors": [
        (
            "warning",
            INSTANCE | {"plugin": plugin, "policy": "edge"} | named,
            f"{plugin} {name} on a keeps leaving requests to on_error",
        )
        for plugin, named, name in [
            ("rate-limit", {"limit": "ip"}, "edge/ip"),
            ("circuit-breaker", {"breaker": "shop"}, "edge/shop"),
            ("retry-budget", {"budget": "shop"}, "edge/shop"),
            ("security-headers", {}, "edge"),
            ("jwt-auth", {"rule": "all"}, "edge/all"),
        ]
    ],
    "WasmVmReload": [
        ("warning", INSTANCE | {"wasm_plugin": "jwt-auth"}, "The VM of jwt-auth on a failed and was restarted"),
        (
            "critical",
            INSTANCE | {"wasm_plugin": "jwt-auth"},
            "The VM of jwt-auth on a failed and cannot be restarted",
        ),
    ],
}
WITHOUT_ANY_TARGET = {"EnvoyDown": [("critical", {"targets": "none"}, "No Envoy is scraped")]}


def misread(promtool, server, prometheus, scratch):
    """Alerts whose rendered annotations differ from those here, and alerts without an entry here."""
    alerts = [rule for rule in rules(server) if rule["type"] == "alerting"]
    for name in sorted({alert["name"] for alert in alerts} - SUMMARIES.keys()):
        yield f"summaries.py: has no summary of {name}"
    runbooks = {(alert["name"], alert["labels"]["severity"]): alert["annotations"]["runbook"] for alert in alerts}
    tests = {
        "rule_files": [str(prometheus / name) for name in ("recording.yaml", "alerts.yaml", "objective.yaml")],
        "evaluation_interval": "1m",
        "tests": [a_test(WRONG, SUMMARIES, runbooks), a_test({}, WITHOUT_ANY_TARGET, runbooks)],
    }
    # JSON is YAML, too.
    file = pathlib.Path(scratch, "summaries.test.yaml")
    file.write_text(json.dumps(tests))
    done = subprocess.run(
        [promtool, "test", "rules", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        yield done.stdout


def a_test(series, summaries, runbooks):
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{AFTER_MINUTES}m",
                "alertname": name,
                "exp_alerts": [
                    {
                        "exp_labels": {"component": "portcullis", "severity": severity, **labels},
                        "exp_annotations": {"summary": summary, "runbook": runbooks.get((name, severity), "")},
                    }
                    for severity, labels, summary in expected
                ],
            }
            for name, expected in summaries.items()
        ],
    }
