// The golden signals: traffic, errors, latency, saturation.
//
// Thresholds are those of the alerts in envoy/prometheus, on the last minute. As there, errors and latency
// are judged from 0.1 requests per second on: one failure at night is no outage.

import { lineChart } from "./chart.js";
import { html, setText } from "./dom.js";
import { count, milliseconds, percent, perSecond } from "./format.js";

const LISTENER = "envoy_http_conn_manager_prefix";
const REQUESTS = "envoy_http_downstream_rq_total";
const RESPONSES = "envoy_http_downstream_rq_xx";
const TIME = "envoy_http_downstream_rq_time";
const PRESSURE = /^envoy_overload_envoy_resource_monitors_(.+)_pressure$/;
const REMAINING = "envoy_cluster_circuit_breakers_default_remaining_rq";
const ACTIVE = "envoy_cluster_upstream_rq_active";

// Envoy's own, and this page's.
const NOT_TRAFFIC = ["admin", "async-client", "dashboard"];

const LEVELS = ["ok", "warning", "critical"];

const LEAST_RATE = 0.1;

// Above the first number it is a warning, above the second critical.
const THRESHOLDS = { errors: [1, 5], latency: [500, 1000], saturation: [70, 85] };

export function listeners(history) {
  const names = history.labels(REQUESTS).map((labels) => labels[LISTENER]);
  return [...new Set(names)].filter((name) => !NOT_TRAFFIC.includes(name)).sort();
}

export function createSignals(parent) {
  const tiles = {
    traffic: tile("Traffic", "Requests", perSecond),
    errors: tile("Errors", "Responses with 5xx and 4xx", percent),
    latency: tile("Latency", "Response time", milliseconds),
    saturation: tile("Saturation", "How full", percent),
  };
  parent.append(...Object.values(tiles).map(({ element }) => element));

  return function update(history, listener, span) {
    const where = (labels) =>
      listener === "" ? !NOT_TRAFFIC.includes(labels[LISTENER]) : labels[LISTENER] === listener;
    for (const [name, read] of Object.entries({ traffic, errors, latency, saturation })) {
      tiles[name].update(read(history, where), THRESHOLDS[name], span);
    }
  };
}

// Requests per second in the last minute.
function rate(history, where) {
  const requests = history.increase(REQUESTS, where);
  return requests === undefined ? undefined : (1000 * requests) / history.covered();
}

function traffic(history, where) {
  const active = history.latest("envoy_http_downstream_rq_active", where);
  return {
    value: rate(history, where),
    note: `${count(active)} under way`,
    lines: [{ name: "requests", points: history.rates(REQUESTS, where) }],
  };
}

function errors(history, where) {
  const ofClass = (name) => (labels) => where(labels) && labels.envoy_response_code_class === name;
  const all = history.increase(RESPONSES, where);
  const failed = history.increase(RESPONSES, ofClass("5"));
  const refused = history.increase(RESPONSES, ofClass("4"));
  const total = history.rates(RESPONSES, where);
  const share = (name) => history.rates(RESPONSES, ofClass(name))
    .map(({ time, value }, index) => ({ time, value: total[index].value > 0 ? (100 * value) / total[index].value : null }));
  return {
    value: all > 0 ? (100 * failed) / all : undefined,
    isTooLittle: rate(history, where) < LEAST_RATE,
    note: all === 0 ? "no responses in the last minute" : `${count(failed)} with 5xx, ${count(refused)} with 4xx, of ${count(all)}`,
    lines: [{ name: "5xx", points: share("5") }, { name: "4xx", points: share("4") }],
  };
}

function latency(history, where) {
  const shares = [0.5, 0.95, 0.99];
  const names = ["p50", "p95", "p99"];
  const [, , worst] = history.quantiles(TIME, shares, where);
  const series = history.quantileSeries(TIME, shares, where);
  return {
    value: worst,
    isTooLittle: rate(history, where) < LEAST_RATE,
    note: worst === undefined ? "no responses in the last minute" : "p99 of the last minute",
    lines: names.map((name, index) => ({ name, points: series[index] })),
  };
}

// All that can be full, the fullest first. Listeners share it.
function saturation(history) {
  const resources = [];
  for (const metric of history.names()) {
    const [, name] = PRESSURE.exec(metric) ?? [];
    if (name) resources.push({ name: name.replaceAll("_", " "), points: history.values(metric) });
  }
  for (const { envoy_cluster_name: cluster } of history.labels(REMAINING)) {
    const ofCluster = (labels) => labels.envoy_cluster_name === cluster;
    const remaining = history.values(REMAINING, ofCluster);
    const points = history.values(ACTIVE, ofCluster)
      .map(({ time, value }, index) => ({ time, value: share(value, remaining[index].value) }));
    resources.push({ name: `requests to ${cluster}`, points });
  }
  const now = ({ points }) => points.at(-1)?.value ?? undefined;
  resources.sort((left, right) => (now(right) ?? -1) - (now(left) ?? -1));
  const [fullest] = resources;
  return {
    value: fullest && now(fullest),
    note: fullest ? fullest.name : "Envoy has no overload manager, and no cluster tracks what remains",
    lines: resources.slice(0, 4),
  };
}

function share(active, remaining) {
  return active === null || remaining === null || active + remaining === 0 ? null : (100 * active) / (active + remaining);
}

function tile(title, subtitle, format) {
  const value = html("strong", { class: "value" });
  const level = html("span", { class: "level" });
  const note = html("p", { class: "quiet" });
  const chart = lineChart(subtitle, format);
  const element = html("article", { class: "card" },
    html("h3", {}, title), html("p", { class: "reading" }, value, level), note, chart.element);

  function update(reading, thresholds, span) {
    setText(value, format(reading.value));
    setText(note, reading.note);
    const isJudged = thresholds && reading.value !== undefined && !reading.isTooLittle;
    const name = isJudged ? LEVELS[thresholds.filter((limit) => reading.value > limit).length] : "";
    setText(level, name);
    level.dataset.level = name;
    chart.update(reading.lines, span);
  }
  return { element, update };
}
