// The golden signals, read from Envoy's own statistics: traffic, errors, latency, saturation.
//
// The thresholds are those of the alerts in envoy/prometheus, applied to the last minute. As there, errors and latency
// have a level only from 0.1 requests per second on, because one failure at night is not an outage.

import { count } from "./format.js";

const LISTENER = "envoy_http_conn_manager_prefix";
const REQUESTS = "envoy_http_downstream_rq_total";
const RESPONSES = "envoy_http_downstream_rq_xx";
const ACTIVE_REQUESTS = "envoy_http_downstream_rq_active";
const TIME = "envoy_http_downstream_rq_time";
const PRESSURE = /^envoy_overload_envoy_resource_monitors_(.+)_pressure$/;
const REMAINING = "envoy_cluster_circuit_breakers_default_remaining_rq";
const ACTIVE = "envoy_cluster_upstream_rq_active";
const OF_UPSTREAMS = "envoy_cluster_upstream_rq_xx";
const CLASS = "envoy_response_code_class";

// Listeners of Envoy itself and of this page.
const NOT_TRAFFIC = ["admin", "async-client", "dashboard"];

const LEVELS = ["ok", "warning", "critical"];
const LEAST_RATE = 0.1;

// Above the first number, the level is warning; above the second, critical.
const THRESHOLDS = { errors: [1, 5], unanswered: [20, 50], latency: [500, 1000], saturation: [70, 85] };

export function listeners(history) {
  const names = history.find(REQUESTS, ofListener("")).map(({ labels }) => labels[LISTENER]);
  return [...new Set(names)].sort();
}

// Selects the series of one listener, or with "" those of all.
function ofListener(listener) {
  return (labels) => (listener === "" ? !NOT_TRAFFIC.includes(labels[LISTENER]) : labels[LISTENER] === listener);
}

// Each signal is {value, note, level, lines}; `level` is undefined without enough data.
export function traffic(history, listener) {
  const where = ofListener(listener);
  const active = history.latest(history.find(ACTIVE_REQUESTS, where));
  return {
    value: rate(history, where),
    note: `${count(active)} in progress`,
    lines: [{ name: "requests", points: history.rates(history.find(REQUESTS, where)) }],
  };
}

export function errors(history, listener) {
  const where = ofListener(listener);
  const ofClass = (name) => history.find(RESPONSES, (labels) => where(labels) && labels[CLASS] === name);
  const responses = history.find(RESPONSES, where);
  const all = history.increase(responses);
  const failed = history.increase(ofClass("5"));
  const refused = history.increase(ofClass("4"));
  const value = all > 0 ? (100 * (failed ?? 0)) / all : undefined;
  const total = history.rates(responses);
  const shares = (name) => history.rates(ofClass(name))
    .map(({ time, value }, index) => ({ time, value: total[index].value > 0 ? (100 * value) / total[index].value : null }));
  return {
    value,
    failed,
    level: rate(history, where) >= LEAST_RATE ? level("errors", value) : undefined,
    note: all === 0 ? "no responses in the last minute" : `${count(failed ?? 0)} with 5xx, ${count(refused ?? 0)} with 4xx, of ${count(all)}`,
    lines: [{ name: "5xx", points: shares("5") }, { name: "4xx", points: shares("4") }],
  };
}

// The last minute's responses with 5xx by the upstream that sent them.
export function failuresOfUpstreams(history) {
  const byCluster = new Map();
  for (const series of history.find(OF_UPSTREAMS, (labels) => labels[CLASS] === "5")) {
    const { envoy_cluster_name: cluster } = series.labels;
    byCluster.set(cluster, (byCluster.get(cluster) ?? 0) + (history.increase([series]) ?? 0));
  }
  return [...byCluster].filter(([, failed]) => failed > 0).sort(([, left], [, right]) => right - left);
}

// The share of requests that ended without a response: they began, were not answered, and are not in progress.
export function unanswered(history, listener) {
  const where = ofListener(listener);
  const begun = history.increase(history.find(REQUESTS, where));
  const answered = history.increase(history.find(RESPONSES, where)) ?? 0;
  const value = begun > 0 ? Math.max(0, (100 * (begun - answered - history.change(history.find(ACTIVE_REQUESTS, where)))) / begun) : undefined;
  return { value, level: rate(history, where) >= LEAST_RATE ? level("unanswered", value) : undefined };
}

export function latency(history, listener) {
  const where = ofListener(listener);
  const shares = [0.5, 0.95, 0.99];
  const names = ["p50", "p95", "p99"];
  const [, , worst] = history.quantiles(TIME, shares, where);
  const series = history.quantileSeries(TIME, shares, where);
  return {
    value: worst,
    level: rate(history, where) >= LEAST_RATE ? level("latency", worst) : undefined,
    note: worst === undefined ? "no responses in the last minute" : "p99 of the last minute",
    lines: names.map((name, index) => ({ name, points: series[index] })),
  };
}

// All resources with a limit, the fullest first. They are common to all listeners.
export function saturation(history) {
  const resources = [];
  for (const metric of history.names()) {
    const [, name] = PRESSURE.exec(metric) ?? [];
    if (name) resources.push({ name: name.replaceAll("_", " "), points: history.values(history.find(metric)) });
  }
  for (const { labels: { envoy_cluster_name: cluster } } of history.find(REMAINING)) {
    const ofCluster = (labels) => labels.envoy_cluster_name === cluster;
    const remaining = history.values(history.find(REMAINING, ofCluster));
    const points = history.values(history.find(ACTIVE, ofCluster))
      .map(({ time, value }, index) => ({ time, value: share(value, remaining[index].value) }));
    resources.push({ name: `requests to ${cluster}`, points });
  }
  const now = ({ points }) => points.at(-1)?.value ?? undefined;
  resources.sort((left, right) => (now(right) ?? -1) - (now(left) ?? -1));
  const [fullest] = resources;
  const value = fullest && now(fullest);
  return {
    value,
    name: fullest?.name,
    level: level("saturation", value),
    note: fullest ? fullest.name : "Envoy has no overload manager, and no cluster tracks its remaining capacity",
    lines: resources.slice(0, 4),
  };
}

// Requests per second in the last minute.
function rate(history, where) {
  const requests = history.increase(history.find(REQUESTS, where));
  return requests === undefined ? undefined : (1000 * requests) / history.covered();
}

function level(signal, value) {
  return value === undefined ? undefined : LEVELS[THRESHOLDS[signal].filter((limit) => value > limit).length];
}

function share(active, remaining) {
  return active === null || remaining === null || active + remaining === 0 ? null : (100 * active) / (active + remaining);
}
