// A policy's panel, as policies.js describes it; hidden where Envoy has no statistics of it.

import { lineChart, stateChart } from "./chart.js";
import { fillList, html, table } from "./dom.js";
import { count, perSecond } from "./format.js";

// This page's own listener has security headers, too; they are not what it is about.
const OWN_POLICY = "dashboard";
const TROUBLE_SPAN = 600_000;
const MOST_LINES = 6;

const ANY = () => true;

export function createPanel(policy) {
  const prefix = `portcullis_${policy.plugin}_`;
  const title = policy.plugin.replaceAll("_", "-");
  const troubles = html("ul", { class: "troubles" });
  const chart = createChart(policy, prefix);
  const tables = policy.tables.map((spec) => countTable(spec, prefix));
  const reasons = policy.reasons && table(policy.reasons.caption, ["Reason", "Count"]);
  const all = table(`All of ${title}'s statistics`, ["Series", "Value"]);
  const content = html("div", {}, troubles, chart.element, ...tables.map(({ element }) => element),
    ...(reasons ? [reasons.element] : []));
  const details = html("details", {}, html("summary", {}, "All numbers"), all.element);
  const element = html("article", { class: "card", id: policy.plugin },
    html("h3", {}, title), html("p", { class: "quiet" }, policy.about), content, details);

  function update(history, span) {
    const metrics = history.names().filter((name) => name.startsWith(prefix));
    element.hidden = !metrics.some((name) => history.labels(name, isShown).length > 0);
    if (element.hidden) return;
    chart.update(history, span);
    for (const each of tables) each.update(history);
    reasons?.fill(byReason(history, prefix, policy.reasons));
    fillList(troubles, troublesOf(history, prefix, policy.troubles));
    if (details.open) all.fill(allSeries(history, metrics));
  }
  // What is in a closed part is not kept current.
  details.addEventListener("toggle", () => element.dispatchEvent(new Event("refresh", { bubbles: true })));
  return { title, element, content, update };
}

function isShown(labels) {
  return labels.policy !== OWN_POLICY;
}

function both(where = ANY) {
  return (labels) => isShown(labels) && where(labels);
}

function createChart({ lines, states }, prefix) {
  if (states) {
    const chart = stateChart("State", states.names);
    return { element: chart.element, update: (history, span) => chart.update(forEach(history, prefix, states), span) };
  }
  const [{ title = "Per second", format = perSecond }] = lines;
  const chart = lineChart(title, format);
  const read = (history) => lines.flatMap((line) => line.each
    ? forEach(history, prefix, line)
    : { name: line.name, points: history.rates(prefix + line.metric, both(line.where)) });
  return { element: chart.element, update: (history, span) => chart.update(read(history), span) };
}

// A gauge's values over time, for each policy and value of the label `each`.
function forEach(history, prefix, { metric, each }) {
  return groups(history, [prefix + metric], ["policy", each]).slice(0, MOST_LINES).map((values) => ({
    name: values.join(" / "),
    points: history.values(prefix + metric, inGroup(["policy", each], values)),
  }));
}

function countTable({ caption, by, columns }, prefix) {
  const { element, fill } = table(caption, [by.join(" / "), ...columns.map(({ title }) => title)]);
  const update = (history) => {
    const names = columns.map(({ metric }) => prefix + metric);
    fill(groups(history, names, by).map((values) => [
      values.join(" / "),
      ...columns.map(({ metric, where = ANY, now }) => {
        const chosen = (labels) => inGroup(by, values)(labels) && where(labels);
        return now ? now(history.latest(prefix + metric, chosen)) : counted(history, prefix + metric, chosen);
      }),
    ]));
  };
  return { element, update };
}

// The combinations of labels that there are, in order.
function groups(history, names, by) {
  const found = new Map();
  for (const labels of names.flatMap((name) => history.labels(name, isShown))) {
    const values = by.map((label) => labels[label] ?? "–");
    found.set(JSON.stringify(values), values);
  }
  return [...found].sort(([left], [right]) => left.localeCompare(right)).map(([, values]) => values);
}

function inGroup(by, values) {
  return (labels) => by.every((label, index) => (labels[label] ?? "–") === values[index]);
}

// In the last minute, and since Envoy started.
function counted(history, name, where) {
  const total = history.latest(name, where);
  if (total === undefined) return count(undefined);
  return html("span", {}, count(history.increase(name, where)), " ", html("small", {}, `${count(total)} in all`));
}

function byReason(history, prefix, { metric, where }) {
  const name = prefix + metric;
  return groups(history, [name], ["reason"])
    .map(([reason]) => [reason, both((labels) => (labels.reason ?? "–") === reason && (where ?? ANY)(labels))])
    .filter(([, chosen]) => history.latest(name, chosen) > 0)
    .map(([reason, chosen]) => [reason, counted(history, name, chosen)]);
}

function troublesOf(history, prefix, troubles) {
  return troubles
    .map(({ metric, text }) => [history.increase(prefix + metric, isShown, TROUBLE_SPAN), text])
    .filter(([amount]) => amount > 0)
    .map(([amount, text]) => `${count(amount)} ${text}`);
}

function allSeries(history, names) {
  return names.sort().flatMap((name) => history.labels(name, isShown).map((labels) => {
    const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(", ");
    const isSame = (others) => Object.entries(labels).every(([label, value]) => others[label] === value);
    return [`${name}{${text}}`, count(history.latest(name, isSame))];
  }));
}
