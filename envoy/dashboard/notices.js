// What an operator should know before reading any number, the worst first.
//
// Each kind names the alerts of envoy/prometheus that it stands for, has their thresholds, and uses what the page
// knows: the last minute, or ten for what is rare. `find` returns its notices: {severity, title, detail}. `title`
// is short and changes only with the situation, so that it can be read out; `detail` has the names and numbers.
// `place` is the id of the element that shows more.

import { counted, count, duration, milliseconds, percent, someOf } from "./format.js";
import { errors, failuresOfUpstreams, latency, listeners, saturation, unanswered } from "./golden.js";
import { Groups, isShown } from "./groups.js";
import { OLD_KEYS, OLD_REVOCATIONS, POLICIES, titleOf, UNCHECKED } from "./policies.js";

const TEN_MINUTES = 600_000;
const VERY_OLD_KEYS = 72_000;
const RELOADS = /^envoy_wasm_.*vm_reload_(success|failure|backoff)$/;

const LEVELS = ["critical", "warning", "note"];

// Makes a function of `connection`, {state, failure, age}, and of the refusals of refusals.js.
export function createNotices(history) {
  const kinds = KINDS.map((kind) => ({ ...kind, groups: kind.groups && new Groups(history, ...kind.groups) }));
  return function notices(connection, refusals) {
    const found = kinds.flatMap(({ id, place, groups, find }) =>
      find({ history, connection, refusals, groups: groups?.list() })
        .map((notice) => ({ ...notice, place, key: `${id} ${notice.severity}` })));
    return found.sort((left, right) => LEVELS.indexOf(left.severity) - LEVELS.indexOf(right.severity));
  };
}

// In the order in which those of the same severity are shown.
export const KINDS = [
  {
    id: "connection",
    alerts: ["EnvoyDown"],
    find({ connection: { state, failure, age } }) {
      if (state === "live") return [];
      if (state === "waiting" && failure === "") return [];
      const last = age === undefined ? "" : ` The numbers below are ${duration(age / 1000)} old.`;
      return [critical("Envoy cannot be read", `${failure || "It does not respond"}.${last} Check that the process runs, and that this page's listener can reach its admin interface.`)];
    },
  },
  {
    id: "errors",
    alerts: ["HighErrorRate", "ErrorBudgetBurn"],
    place: "signals-title",
    find({ history, refusals }) {
      const failing = judged(history, errors);
      const sources = [
        ...failuresOfUpstreams(history).map(([cluster, failed]) => [failed, `${count(failed)} from the cluster ${cluster}`]),
        ...refusals.filter((row) => row.minute > 0 && row.isFailure).map((row) => [row.minute, `${count(row.minute)} by ${row.title} (${row.name}, ${row.reason})`]),
      ].sort(([left], [right]) => right - left).map(([, text]) => text);
      const from = sources.length > 0 ? ` Known sources: ${someOf(sources, 3)}.` : " Neither an upstream nor a plugin sent them: see the response flags in the access log.";
      return bySeverity(failing, (those) => [
        "Requests fail with 5xx",
        `${someOf(those.map(({ name, value }) => `${percent(value)} on ${name}`))} in the last minute.${from}`,
      ]);
    },
  },
  {
    id: "unanswered",
    alerts: ["HighUnansweredRate"],
    place: "signals-title",
    find: ({ history }) => bySeverity(judged(history, unanswered), (those) => [
      "Requests end without a response",
      `${someOf(those.map(({ name, value }) => `${percent(value)} on ${name}`))} in the last minute. Clients give up, or connections break: compare their timeouts with the latency.`,
    ]),
  },
  {
    id: "latency",
    alerts: ["HighLatency"],
    place: "signals-title",
    find: ({ history }) => bySeverity(judged(history, latency), (those) => [
      "Responses are slow",
      `p99 of the last minute: ${someOf(those.map(({ name, value }) => `${milliseconds(value)} on ${name}`))}.`,
    ]),
  },
  {
    id: "saturation",
    alerts: ["HighSaturation"],
    place: "signals-title",
    find({ history }) {
      const { level, name, value } = saturation(history);
      return isTrouble(level) ? [notice(level, "Envoy is nearly full", `${name}: ${percent(value)}.`)] : [];
    },
  },
  {
    id: "keys-missing",
    alerts: ["JwksMissing"],
    place: "jwt_auth",
    groups: [[{ metric: "portcullis_jwt_auth_jwks_missing" }], ["policy", "provider"]],
    find({ history, groups }) {
      const missing = groups.filter(({ all }) => history.latest(all) > 0);
      return some(missing, critical, "Keys are missing", (names) =>
        `jwt-auth has no usable keys of ${names}: tokens of these providers get 503. Check that the cluster of jwks.remote answers.`);
    },
  },
  {
    id: "keys-unusable",
    alerts: [],
    place: "why",
    find({ refusals }) {
      const affected = refusals.filter(({ plugin, reason, minute }) => plugin === "jwt_auth" && minute > 0 && UNCHECKED.includes(reason));
      const names = affected.map(({ name, reason, minute }) => `${name} (${reason}, ${count(minute)})`);
      return names.length > 0 ? [critical("Tokens cannot be checked", `Refused with 503 in the last minute: ${someOf(names)}.`)] : [];
    },
  },
  {
    id: "keys-old",
    alerts: ["JwksStale"],
    place: "jwt_auth",
    groups: [[{ metric: "portcullis_jwt_auth_jwks_age_seconds" }], ["policy", "provider"]],
    find: ({ history, groups }) => bySeverity(ages(history, groups, [OLD_KEYS, VERY_OLD_KEYS]), (those) => [
      "Keys are old",
      `Fetches of jwt-auth's keys fail: ${agesOf(those)}. Tokens get 503 once the keys are as old as keep_stale (24h by default).`,
    ]),
  },
  {
    id: "revocations-old",
    alerts: ["RevocationListStale"],
    place: "jwt_auth",
    groups: [[{ metric: "portcullis_jwt_auth_revocation_age_seconds" }], ["policy"]],
    find: ({ history, groups }) => bySeverity(ages(history, groups, [OLD_REVOCATIONS]), (those) => [
      "The revocation list is old",
      `${agesOf(those)}. Tokens that have been revoked since are still admitted.`,
    ]),
  },
  {
    id: "revocations-missing",
    alerts: ["RevocationListStale"],
    place: "jwt_auth",
    groups: [[{ metric: "portcullis_jwt_auth_revocation_missing" }], ["policy"]],
    find: ({ history, groups }) => some(groups.filter(({ all }) => history.latest(all) > 0), warning,
      "The revocation list has never been fetched", (names) => `jwt-auth, policy ${names}. Check that the cluster of revocation.remote answers.`),
  },
  {
    id: "circuits",
    alerts: ["CircuitBreakerOpen", "CircuitBreakerFlapping"],
    place: "circuit_breaker",
    groups: [[{ metric: "portcullis_circuit_breaker_state" }, { metric: "portcullis_circuit_breaker_opened" }], ["policy", "breaker"]],
    find({ history, groups }) {
      const troubled = groups.map(({ name, columns: [state, opened] }) => {
        const times = history.increase(opened, TEN_MINUTES) ?? 0;
        return { name, state: history.latest(state), times, isRecent: history.increase(opened) > 0 || times >= FLAPPING };
      }).filter(({ state, isRecent }) => state > 0 || isRecent)
        .sort((left, right) => right.state - left.state || right.times - left.times);
      if (troubled.length === 0) return [];
      // If an upstream never answers, its circuit alternates between open and half-open.
      const open = troubled.filter(({ state }) => state > 0).length;
      const title = open > 0 ? counted(open, "circuit is open", "circuits are open")
        : troubled.some(({ times }) => times >= FLAPPING) ? "Circuits open again and again" : "Circuits were open in the last minute";
      const names = troubled.map(({ name, state, times }) =>
        `${name} (${["closed", "half-open", "open"][state]}${times > 1 ? `, opened ${times} times in ten minutes` : ""})`);
      return [warning(title, `${someOf(names, 6)}. Check the upstream first, not the breaker.`)];
    },
  },
  {
    id: "budgets",
    alerts: ["RetryBudgetEmpty"],
    place: "retry_budget",
    groups: [[{ metric: "portcullis_retry_budget_denied", where: ({ reason }) => EMPTY.includes(reason) }], ["policy", "budget"]],
    find({ history, groups }) {
      const denying = groups.map(({ name, columns }) => ({ name, denied: history.increase(columns[0]) }))
        .filter(({ denied }) => denied > 0).sort((left, right) => right.denied - left.denied)
        .map(({ name, denied }) => ({ name: `${name} (${count(denied)} in the last minute)` }));
      return some(denying, warning, "Retry budgets deny retries", (names) => `${names}. More requests fail than retries can help: check the upstream.`);
    },
  },
  {
    id: "limits-service",
    alerts: ["RateLimitServiceOut"],
    place: "fleet",
    groups: [[{ metric: "portcullis_rate_limit_service_out" }], ["policy", "service"]],
    find: ({ history, groups }) => some(groups.filter(({ all }) => history.latest(all) > 0), warning, "A rate-limit service does not answer", (names) =>
      `${names}: on_outage decides about its limits. Check that its cluster has healthy endpoints and speaks HTTP/2.`),
  },
  {
    id: "budgets-breaker",
    alerts: ["RetryBudgetBreakerMissing"],
    place: "retry_budget",
    groups: [[{ metric: "portcullis_retry_budget_breaker_missing" }], ["policy", "budget"]],
    find: ({ history, groups }) => some(groups.filter(({ all }) => history.latest(all) > 0), warning, "A retry budget does not find its breaker", (names) =>
      `${names}: respect_breaker names a breaker that no circuit-breaker of the same vm_id has.`),
  },
  {
    id: "errors-of-policies",
    alerts: ["PolicyErrors"],
    place: "policies",
    find({ history }) {
      const failed = [
        ...ofPlugins(history, "errors"),
        { plugin: "jwt-auth", series: history.find("portcullis_jwt_auth_decisions", (labels) => isShown(labels) && labels.reason === "error") },
      ].map(({ plugin, series }) => ({ plugin, amount: history.increase(series, TEN_MINUTES) }))
        .filter(({ amount }) => amount > 0).map(({ plugin, amount }) => ({ name: `${plugin} (${count(amount)})` }));
      return some(failed, warning, "Plugins left requests to on_error", (names) =>
        `In the last ten minutes: ${names}. Usually, shared state could not be read or written in time. Envoy's log has the status.`);
    },
  },
  {
    id: "evictions",
    alerts: ["TableEvictions"],
    place: "policies",
    find: ({ history }) => tables(history, "evictions", "Tables are full", (names) =>
      `Keys were evicted in the last ten minutes: ${names}. More keys are in use than max_keys.`),
  },
  {
    id: "malformed",
    alerts: [],
    place: "policies",
    find: ({ history }) => tables(history, "malformed", "Shared state cannot be read", (names) =>
      `Parts of a table were reset in the last ten minutes: ${names}. Does something else write under this vm_id?`),
  },
  {
    id: "reloads",
    alerts: ["WasmVmReload"],
    find({ history }) {
      const totals = { success: 0, failure: 0, backoff: 0 };
      const recent = { success: 0, failure: 0, backoff: 0 };
      for (const name of history.names()) {
        const [, result] = RELOADS.exec(name) ?? [];
        if (!result) continue;
        totals[result] += history.latest(history.find(name)) ?? 0;
        recent[result] += history.increase(history.find(name), TEN_MINUTES) ?? 0;
      }
      const failed = recent.failure + recent.backoff;
      if (failed > 0) return [critical("A plugin crashed and does not start", `${counted(failed, "attempt", "attempts")} failed in the last ten minutes; requests on such a worker get 503. Envoy's log has the reason.`)];
      const all = totals.success + totals.failure + totals.backoff;
      if (all === 0) return [];
      const text = `${counted(totals.success, "VM was", "VMs were")} reloaded since Envoy started, ${count(recent.success)} of them in the last ten minutes${totals.failure > 0 ? `; ${counted(totals.failure, "reload", "reloads")} failed` : ""}. Envoy's log has the reason of each crash.`;
      // The time of a reload before the page was opened is unknown: it may have been a minute ago.
      const isOld = history.newest - history.start >= TEN_MINUTES && recent.success === 0;
      return [notice(isOld ? "note" : "warning", "A plugin crashed and was reloaded", text)];
    },
  },
  {
    id: "restarts",
    alerts: ["EnvoyRestarts"],
    find({ history }) {
      const times = history.resets(history.find("envoy_server_uptime"));
      return times > 0 ? [warning("Envoy restarted", `${counted(times, "time", "times")} in the last ten minutes. Limits, circuits and budgets started empty. See its last log lines and its exit status.`)] : [];
    },
  },
  {
    id: "statistics",
    alerts: [],
    find({ history }) {
      if (history.newest === undefined) return [];
      const ours = history.names().filter((name) => name.startsWith("portcullis_"));
      if (ours.length === 0) {
        return [warning("Envoy shows no statistics of Portcullis", "No plugin is loaded, or none has been configured yet.")];
      }
      if (ours.some((name) => history.series(name).some(({ labels }) => labels.policy === undefined))) {
        return [warning("Statistics have no labels", "Merge envoy/stats_tags.yaml into the bootstrap: without it this page finds nothing.")];
      }
      return [];
    },
  },
  {
    id: "draining",
    alerts: [],
    find: ({ history }) => history.latest(history.find("envoy_server_live")) === 0
      ? [warning("Envoy is draining", "It takes no new connections.")] : [],
  },
  {
    id: "started",
    alerts: [],
    find: ({ history }) => history.latest(history.find("envoy_server_uptime")) < 60
      ? [notice("note", "Envoy started less than a minute ago", "Limits, circuits and budgets started empty.")] : [],
  },
];

const FLAPPING = 3;
const EMPTY = ["budget_empty", "ambiguous"];

function notice(severity, title, detail) {
  return { severity, title, detail };
}

function critical(title, detail) {
  return notice("critical", title, detail);
}

function warning(title, detail) {
  return notice("warning", title, detail);
}

function isTrouble(level) {
  return level === "critical" || level === "warning";
}

// The listeners on which a golden signal is in trouble, the worst first.
function judged(history, signal) {
  return listeners(history).map((name) => ({ name, ...signal(history, name) }))
    .filter(({ level }) => isTrouble(level)).sort((left, right) => right.value - left.value);
}

// One notice for each severity. `write` receives the troubles of that severity, and returns title and detail.
function bySeverity(troubles, write) {
  return ["critical", "warning"].flatMap((severity) => {
    const those = troubles.filter(({ level }) => level === severity);
    return those.length > 0 ? [notice(severity, ...write(those))] : [];
  });
}

// One notice for all things with a `name`, if there are any.
function some(things, make, title, write) {
  return things.length > 0 ? [make(title, write(someOf(things.map(({ name }) => name))))] : [];
}

// Ages in seconds, the oldest first, judged by one limit (warning) or two.
function ages(history, groups, limits) {
  return groups.map(({ name, all }) => ({ name, value: history.latest(all) }))
    .map((age) => ({ ...age, level: ["", "warning", "critical"][limits.filter((limit) => age.value > limit).length] }))
    .sort((left, right) => right.value - left.value);
}

function agesOf(those) {
  return someOf(those.map(({ name, value }) => `${name}, ${duration(value)}`));
}

// The series of one metric of all plugins: {plugin, series}.
function ofPlugins(history, metric) {
  return POLICIES.map(({ plugin }) =>
    ({ plugin: titleOf(plugin), series: history.find(`portcullis_${plugin}_${metric}`, isShown) }));
}

function tables(history, metric, title, write) {
  const leases = { plugin: "rate-limit, leases of", series: history.find(`portcullis_rate_limit_fleet_${metric}`, isShown) };
  const grown = [...ofPlugins(history, metric), leases]
    .flatMap(({ plugin, series }) => series.map((one) => ({ plugin, labels: one.labels, amount: history.increase([one], TEN_MINUTES) })))
    .filter(({ amount }) => amount > 0).sort((left, right) => right.amount - left.amount)
    .map(({ plugin, labels: { policy, limit, breaker, budget }, amount }) =>
      ({ name: `${plugin} ${policy} / ${limit ?? breaker ?? budget} (${count(amount)})` }));
  return some(grown, warning, title, write);
}
