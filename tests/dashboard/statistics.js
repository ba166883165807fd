// Simulated statistics of an Envoy with all five plugins, for events that take long on a real one.

// All counters grow with `seconds`, the time since Envoy started. `breaker`: 0 closed, 1 half-open, 2 open. `counter`,
// `gauge` and `histogram` add or replace series; undefined removes one.
export function statistics(seconds, { breaker = 0, counter = {}, gauge = {}, histogram = {} } = {}) {
  const n = (perSecond) => Math.round(100 + perSecond * seconds);
  const listener = 'envoy_http_conn_manager_prefix="shop"';
  const jwt = (outcome, reason) => `portcullis_jwt_auth_decisions{policy="edge",rule="default",outcome="${outcome}",reason="${reason}"}`;
  const circuit = 'policy="edge",breaker="payments"';
  const budget = 'policy="edge",budget="orders"';
  const limit = 'policy="edge",limit="per-client"';
  return lines({
    counter: {
      [`envoy_http_downstream_rq_total{${listener}}`]: n(120),
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${listener}}`]: n(100),
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="4",${listener}}`]: n(16),
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${listener}}`]: n(4),
      'portcullis_security_headers_responses{policy="edge",rule="none"}': n(90),
      'portcullis_security_headers_responses{policy="edge",rule="api"}': n(30),
      [jwt("admitted", "verified")]: n(104),
      [jwt("refused", "expired")]: n(3),
      [jwt("refused", "signature")]: n(1),
      [`portcullis_rate_limit_admitted{${limit}}`]: n(104),
      [`portcullis_rate_limit_denied{${limit},reason="rate_limited"}`]: n(12),
      [`portcullis_rate_limit_evictions{${limit}}`]: n(0.1),
      'portcullis_jwt_auth_verifications{policy="edge",path="cache"}': n(90),
      'portcullis_jwt_auth_verifications{policy="edge",path="host"}': n(14),
      'portcullis_jwt_auth_verifications{policy="edge",path="failed"}': n(1),
      [`portcullis_circuit_breaker_failures{${circuit}}`]: n(4),
      [`portcullis_circuit_breaker_slow{${circuit}}`]: n(1),
      [`portcullis_circuit_breaker_rejected{${circuit},reason="circuit_open"}`]: breaker === 2 ? n(4) : 100,
      [`portcullis_circuit_breaker_opened{${circuit},reason="rate"}`]: breaker === 0 ? 0 : 1,
      [`portcullis_retry_budget_deposits{${budget}}`]: n(20),
      [`portcullis_retry_budget_retries_used{${budget}}`]: n(3),
      [`portcullis_retry_budget_denied{${budget},reason="budget_empty"}`]: n(1),
      ...counter,
    },
    gauge: {
      [`envoy_http_downstream_rq_active{${listener}}`]: 7,
      "envoy_overload_envoy_resource_monitors_fixed_heap_pressure{}": 12,
      "envoy_overload_envoy_resource_monitors_cpu_utilization_pressure{}": Math.round(76 + 5 * Math.sin(seconds / 20)),
      "envoy_server_uptime{}": 86_400 + seconds,
      'portcullis_jwt_auth_jwks_keys{policy="edge",provider="corp"}': 3,
      'portcullis_jwt_auth_jwks_missing{policy="edge",provider="corp"}': 0,
      'portcullis_jwt_auth_jwks_age_seconds{policy="edge",provider="corp"}': seconds % 600,
      [`portcullis_circuit_breaker_state{${circuit}}`]: breaker,
      [`portcullis_circuit_breaker_open_keys{${circuit}}`]: breaker === 2 ? 1 : 0,
      [`portcullis_retry_budget_balance{${budget}}`]: Math.round(20 + 10 * Math.sin(seconds / 40)),
      ...gauge,
    },
    histogram: {
      [`envoy_http_downstream_rq_time_bucket{${listener},le="10"}`]: n(80),
      [`envoy_http_downstream_rq_time_bucket{${listener},le="100"}`]: n(114),
      [`envoy_http_downstream_rq_time_bucket{${listener},le="1000"}`]: n(120),
      [`envoy_http_downstream_rq_time_bucket{${listener},le="+Inf"}`]: n(120),
      ...histogram,
    },
  });
}

function lines(types) {
  return Object.entries(types).flatMap(([type, samples]) => Object.entries(samples).flatMap(([series, value]) => value === undefined ? [] : [
    `# TYPE ${series.split("{")[0].replace(/_bucket$/, "")} ${type}`,
    `${series} ${value}`,
  ])).join("\n");
}

// Statistics of limits that a rate-limit service counts, {counter, gauge}: `uploads` with a call for each request, and
// `search` with leases. `out`: for how many seconds the service has been out.
export function fleet(seconds, out = 0) {
  const search = 'policy="edge",limit="search"';
  const uploads = 'policy="edge",limit="uploads"';
  const ended = (result) => `${search},result="${result}"`;
  const calls = (limit, result) => `portcullis_rate_limit_fleet_calls{${limit},result="${result}"}`;
  const working = seconds - out;
  return {
    counter: {
      [`portcullis_rate_limit_admitted{${search}}`]: 200 * seconds,
      [`portcullis_rate_limit_admitted{${uploads}}`]: 2 * seconds,
      [`portcullis_rate_limit_fleet_waited{${search}}`]: 5 * working,
      [`portcullis_rate_limit_fleet_waited{${uploads}}`]: 3 * working,
      [`portcullis_rate_limit_fleet_cached_denials{${search}}`]: 7 * working,
      [`portcullis_rate_limit_fleet_cached_denials{${uploads}}`]: 0,
      [`portcullis_rate_limit_fleet_taken{${search}}`]: 220 * working,
      [`portcullis_rate_limit_fleet_taken{${uploads}}`]: 2 * working,
      [`portcullis_rate_limit_fleet_returned{${search}}`]: working,
      [`portcullis_rate_limit_fleet_wasted{${search}}`]: 20 * working,
      [`portcullis_rate_limit_fleet_leases{${ended("used_up")}}`]: 3 * working,
      [`portcullis_rate_limit_fleet_leases{${ended("expired")}}`]: working,
      [`portcullis_rate_limit_fleet_lease_milliseconds{${ended("used_up")}}`]: 3_000 * working,
      [`portcullis_rate_limit_fleet_lease_milliseconds{${ended("expired")}}`]: 7_000 * working,
      [calls(search, "ok")]: 4 * working,
      [calls(search, "over_limit")]: working,
      [calls(uploads, "ok")]: 2 * working,
      [calls(uploads, "over_limit")]: working,
      [calls(uploads, "timeout")]: out > 0 ? 3 : 0,
      [calls(uploads, "error")]: 0,
      [`portcullis_rate_limit_fleet_outage{${search},result="allow"}`]: 0,
      [`portcullis_rate_limit_fleet_outage{${uploads},result="local"}`]: 2 * out,
    },
    gauge: {
      [`portcullis_rate_limit_fleet_mode{${search}}`]: 1,
      [`portcullis_rate_limit_fleet_mode{${uploads}}`]: 0,
      [`portcullis_rate_limit_fleet_on_outage{${search}}`]: 1,
      [`portcullis_rate_limit_fleet_on_outage{${uploads}}`]: 0,
      'portcullis_rate_limit_service_out{policy="edge",service="main"}': Number(out > 0),
      'portcullis_rate_limit_service_out_seconds{policy="edge",service="main"}': out,
    },
  };
}

const LISTENER = 'envoy_http_conn_manager_prefix="shop"';

// Parameters for an Envoy at rest, plus the troubles in `counter` and `gauge`.
export function calm(seconds, { breaker = 0, counter = {}, gauge = {} } = {}) {
  return {
    breaker,
    counter: {
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${LISTENER}}`]: 100 + 104 * seconds,
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${LISTENER}}`]: 100,
      'portcullis_circuit_breaker_opened{policy="edge",breaker="payments",reason="rate"}': 0,
      'portcullis_rate_limit_evictions{policy="edge",limit="per-client"}': 0,
      'portcullis_retry_budget_denied{policy="edge",budget="orders",reason="budget_empty"}': 0,
      ...counter,
    },
    gauge: {
      "envoy_overload_envoy_resource_monitors_cpu_utilization_pressure{}": 31,
      'portcullis_retry_budget_balance{policy="edge",budget="orders"}': 20,
      ...gauge,
    },
    histogram: { [`envoy_http_downstream_rq_time_bucket{${LISTENER},le="100"}`]: 100 + 120 * seconds },
  };
}

// The limits of a large gateway, with all their series. The last ten deny, the very last the most.
export function manyLimits(amount, seconds) {
  const reasons = ["rate_limited", "cost_too_large", "missing_key", "unavailable"];
  const counters = { admitted: 3, near_limit: 1, errors: 0, evictions: 0, forgiven: 0, malformed: 0, cas_retries: 1, gave_up: 0 };
  const all = { denied: [], shadow_denied: [], occupancy: [] };
  for (const name of Object.keys(counters)) all[name] = [];
  for (let limit = 1; limit <= amount; limit++) {
    const labels = `policy="edge",limit="limit-${limit}"`;
    const denied = 2 * Math.max(0, limit - amount + 10);
    for (const [name, perSecond] of Object.entries(counters)) all[name].push(`{${labels}} ${100 + perSecond * seconds}`);
    for (const reason of reasons) {
      all.denied.push(`{${labels},reason="${reason}"} ${reason === "rate_limited" ? denied * seconds : 0}`);
      all.shadow_denied.push(`{${labels},reason="${reason}"} 0`);
    }
    all.occupancy.push(`{${labels}} 12`);
  }
  return Object.entries(all).flatMap(([name, samples]) => [
    `# TYPE portcullis_rate_limit_${name} ${name === "occupancy" ? "gauge" : "counter"}`,
    ...samples.map((sample) => `portcullis_rate_limit_${name}${sample}`),
  ]).join("\n");
}

// circuit-breaker's status view in the same state.
export function statusView(breaker) {
  const key = {
    key: "payments-v2",
    state: ["closed", "half_open", "open"][breaker],
    time_left_ms: breaker === 2 ? 12_300 : 0,
    trips_in_a_row: 1,
    probes_out: breaker === 1 ? 2 : 0,
    last_trip: { reason: "rate", failure_rate: 62, slow_rate: 0 },
  };
  return JSON.stringify({ policy: "edge", breakers: [{ name: "payments", keys: [key] }] });
}
