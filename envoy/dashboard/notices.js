// What somebody should know before reading any number: a list of sentences, mostly empty.

import { count } from "./format.js";

const RELOADS = /^envoy_wasm_.*vm_reload_(success|failure|backoff)$/;
const SPAN = 600_000;

export function notices(history) {
  const found = [];
  const ours = history.names().filter((name) => name.startsWith("portcullis_"));
  if (ours.length === 0) {
    found.push("Envoy shows no statistics of Portcullis: no plugin is loaded, or none has been configured yet.");
  } else if (ours.some((name) => history.labels(name).some((labels) => labels.policy === undefined))) {
    found.push("Statistics have no labels: merge envoy/stats_tags.yaml into the bootstrap.");
  }
  if (history.latest("envoy_server_live") === 0) {
    found.push("Envoy is draining: it takes no new connections.");
  }
  const started = history.latest("envoy_server_uptime");
  if (started < 60) {
    found.push("Envoy started less than a minute ago: limits, circuits and budgets began anew with it.");
  }
  const reloads = { success: 0, failure: 0, backoff: 0 };
  for (const name of history.names()) {
    const [, result] = RELOADS.exec(name) ?? [];
    if (result) reloads[result] += history.increase(name, undefined, SPAN) ?? 0;
  }
  if (reloads.success > 0) {
    found.push(`A plugin failed, and ${count(reloads.success)} virtual machines were started anew in the last ten minutes: see Envoy's log.`);
  }
  if (reloads.failure + reloads.backoff > 0) {
    found.push(`A plugin failed, and did not start again at ${count(reloads.failure + reloads.backoff)} attempts: requests get 503.`);
  }
  return found;
}
