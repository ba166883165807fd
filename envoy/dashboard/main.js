// Reads Envoy's statistics every two seconds and shows them; see index.html.
//
// The state of the page: `waiting` until the first reading, `live` while readings arrive, `stale` when none has arrived
// for three intervals. Stale numbers stay visible, without colour and with the reason.

import { createAttention } from "./attention.js";
import { createStatusView } from "./breakers.js";
import { html, setText } from "./dom.js";
import { Exposition } from "./exposition.js";
import { duration } from "./format.js";
import { listeners } from "./golden.js";
import { History } from "./history.js";
import { createNotices } from "./notices.js";
import { createPace } from "./pace.js";
import { createPanel } from "./panel.js";
import { PANELS } from "./policies.js";
import { createRefusals, createWhy } from "./refusals.js";
import { createSignals } from "./signals.js";
import { createView } from "./view.js";

const INTERVAL = 2_000;
const STALE_AFTER = 3 * INTERVAL;
const TIMEOUT = 4_000;
const SPAN = 600_000;
const MINUTE = 60_000;

// The statistics that the page shows, by their names in /stats.
const SHOWN = [
  "(?:wasm|dynamicmodules)custom\\.portcullis\\.",
  "http\\.[^.]+\\.downstream_(rq_total|rq_\\dxx|rq_time|rq_active)$",
  "overload\\..*pressure$",
  "cluster\\..+\\.(circuit_breakers\\.default\\.remaining_rq|upstream_rq_active|upstream_rq_5xx)$",
  "wasm\\..*vm_reload",
  "server\\.(live|uptime)$",
];
const STATISTICS = `stats/prometheus?filter=${encodeURIComponent(`^(${SHOWN.join("|")})`)}`;

const STATES = { waiting: "Waiting for Envoy", live: "Live", stale: "Stale" };

const byId = (id) => document.getElementById(id);
const exposition = new Exposition();
const history = new History({ span: SPAN, gap: 2 * STALE_AFTER });
const view = createView({ filter: byId("filter"), onlyDenials: byId("denies"), counts: byId("counts") }, () => show());
const notices = createNotices(history);
const refusals = createRefusals(history);
const updateAttention = createAttention({
  list: byId("notices"),
  none: byId("quiet"),
  summary: byId("severity"),
  announcement: byId("announcement"),
  icon: byId("icon"),
});
const updateSignals = createSignals(byId("signals"));
const updateWhy = createWhy(byId("refusals"));
const panels = PANELS.map((policy) => createPanel(policy, history));
byId("panels").append(...panels.map(({ element }) => element));
const statusView = createStatusView(panels[PANELS.findIndex((policy) => policy.statusView)].content);
let failure = "";

async function read() {
  try {
    const response = await fetch(STATISTICS, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    if (!response.ok) throw new Error(`Envoy answered with ${response.status}`);
    const text = await response.text();
    const rest = createPace();
    const samples = [];
    for (const sample of exposition.samples(text)) {
      history.register(sample.series);
      samples.push(sample);
      if (samples.length % 100 === 0) await rest();
    }
    if (samples.length === 0) throw new Error("The response had no statistics");
    history.add(performance.now(), samples);
    failure = "";
    if (history.series("portcullis_circuit_breaker_state").length > 0) await statusView.read(AbortSignal.timeout(TIMEOUT));
  } catch (error) {
    failure = error.name === "TimeoutError" ? "No response in time" : error.message;
  }
}

// One update at a time. A request during an update is handled next.
let isShowing = false;
let isAskedFor = false;

async function show() {
  isAskedFor = true;
  if (isShowing) return;
  isShowing = true;
  while (isAskedFor) {
    isAskedFor = false;
    await showAll(createPace());
  }
  isShowing = false;
}

async function showAll(rest) {
  const refused = refusals();
  await rest();
  const found = notices(connection(), refused);
  const isFirst = history.covered() === 0;
  updateAttention(found, connection().state === "live" && !isFirst);
  if (history.newest !== undefined) {
    // From the first reading on, but at least a minute.
    const span = { from: Math.min(history.oldest, history.newest - MINUTE), to: history.newest };
    await rest();
    showListeners(listeners(history));
    updateSignals(history, byId("listener").value, span);
    await rest();
    updateWhy(refused, view, isFirst);
    for (const panel of panels) {
      await rest();
      await panel.update(view, span, found.find(({ place }) => place === panel.element.id)?.severity, rest);
    }
    await rest();
    statusView.update(view);
    const absent = panels.filter(({ element, isPart }) => element.hidden && !isPart).map(({ title }) => title);
    setText(byId("absent"), absent.length > 0 ? `Not in this Envoy's configuration: ${absent.join(", ")}.` : "");
  }
  showAge();
}

function connection() {
  const age = history.newest === undefined ? undefined : performance.now() - history.newest;
  const state = age === undefined ? "waiting" : age > STALE_AFTER ? "stale" : "live";
  return { state, age, failure };
}

function showAge() {
  const { state, age } = connection();
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
  await show();
  setTimeout(run, INTERVAL);
}

byId("listener").addEventListener("change", show);
document.addEventListener("refresh", show);
setInterval(showAge, 1_000);
run();
