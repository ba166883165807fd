// Reads Envoy's statistics every two seconds and shows them; see index.html.
//
// The state of the page: `waiting` until the first reading, `live` while they come, `stale` when none has
// come for three times as long as it should take. Stale numbers stay, dimmed, with the reason why.

import { createStatusView } from "./breakers.js";
import { fillList, html, setText } from "./dom.js";
import { parse } from "./exposition.js";
import { duration } from "./format.js";
import { History } from "./history.js";
import { notices } from "./notices.js";
import { createPanel } from "./panel.js";
import { POLICIES } from "./policies.js";
import { createSignals, listeners } from "./signals.js";

const INTERVAL = 2_000;
const STALE_AFTER = 3 * INTERVAL;
const TIMEOUT = 4_000;
const SPAN = 600_000;
const MINUTE = 60_000;

// Of all that Envoy counts, what is shown here; names are those of /stats.
const SHOWN = [
  "wasmcustom\\.portcullis\\.",
  "http\\.[^.]+\\.downstream_(rq_total|rq_\\dxx|rq_time|rq_active)$",
  "overload\\..*pressure$",
  "cluster\\..+\\.(circuit_breakers\\.default\\.remaining_rq|upstream_rq_active)$",
  "wasm\\..*vm_reload",
  "server\\.(live|uptime)$",
];
const STATISTICS = `stats/prometheus?filter=${encodeURIComponent(`^(${SHOWN.join("|")})`)}`;

const STATES = { waiting: "Waiting for Envoy", live: "Live", stale: "Stale" };

const byId = (id) => document.getElementById(id);
const history = new History({ span: SPAN, gap: 2 * STALE_AFTER });
const updateSignals = createSignals(byId("signals"));
const panels = POLICIES.map((policy) => createPanel(policy));
byId("panels").append(...panels.map(({ element }) => element));
const breakers = panels[POLICIES.findIndex(({ statusView }) => statusView)];
const updateStatusView = createStatusView(breakers.content);
let failure = "";

async function read() {
  try {
    const response = await fetch(STATISTICS, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    if (!response.ok) throw new Error(`Envoy answered with ${response.status}`);
    const samples = parse(await response.text());
    if (samples.length === 0) throw new Error("the answer had no statistics in it");
    history.add(performance.now(), samples);
    failure = "";
    if (history.latest("portcullis_circuit_breaker_state") !== undefined) {
      await updateStatusView(AbortSignal.timeout(TIMEOUT));
    }
  } catch (error) {
    failure = error.name === "TimeoutError" ? "no answer in time" : error.message;
  }
}

function show() {
  showAge();
  if (history.newest === undefined) return;
  // From the first reading on, but a minute at least.
  const span = { from: Math.min(history.oldest, history.newest - MINUTE), to: history.newest };
  showListeners(listeners(history));
  updateSignals(history, byId("listener").value, span);
  for (const panel of panels) panel.update(history, span);
  const absent = panels.filter(({ element }) => element.hidden).map(({ title }) => title);
  setText(byId("absent"), absent.length > 0 ? `Not in this Envoy's configuration: ${absent.join(", ")}.` : "");
  fillList(byId("notices"), notices(history));
}

function showAge() {
  const age = history.newest === undefined ? undefined : performance.now() - history.newest;
  const state = age === undefined ? "waiting" : age > STALE_AFTER ? "stale" : "live";
  document.body.dataset.state = state;
  setText(byId("state"), STATES[state]);
  const since = age === undefined ? "" : `last reading ${duration(age / 1000)} ago`;
  setText(byId("age"), [since, failure].filter(Boolean).join(": "));
}

function showListeners(names) {
  const select = byId("listener");
  const known = [...select.options].map(({ value }) => value);
  for (const name of names) if (!known.includes(name)) select.append(html("option", { value: name }, name));
}

async function run() {
  await read();
  show();
  setTimeout(run, INTERVAL);
}

byId("listener").addEventListener("change", show);
document.addEventListener("refresh", show);
setInterval(showAge, 1_000);
run();
