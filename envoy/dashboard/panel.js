// A policy's panel, or that of a part of it, as policies.js describes it. It is hidden if Envoy has no statistics of it.
//
// There can be thousands of limits, so updates are asynchronous and pause between pieces of work (pace.js).

import { lineChart, stateChart } from "./chart.js";
import { html, keyedList, pill, setText } from "./dom.js";
import { count, perSecond } from "./format.js";
import { Groups, isShown } from "./groups.js";
import { titleOf } from "./policies.js";
import { createTable } from "./table.js";
import { isChosen, wordsOf } from "./view.js";

const TROUBLE_SPAN = 600_000;
// The number of line styles.
const MOST_LINES = 6;

export function createPanel(policy, history) {
  const prefix = `portcullis_${policy.plugin}_`;
  const isPart = policy.metrics !== undefined;
  const title = policy.title ?? titleOf(policy.plugin);
  const isAbout = (name) => name.startsWith(prefix) && (!isPart || policy.metrics.test(name.slice(prefix.length)));
  const level = pill("level");
  const troubles = html("ul", { class: "troubles" });
  const fillTroubles = keyedList(troubles, createTrouble);
  const chart = policy.states || policy.lines[0].each ? createGaugeChart(policy, history, prefix) : createRateChart(policy, history, prefix);
  const tables = policy.tables.map((spec) => createCountTable(spec, history, title, prefix, isPart ? titleOf(policy.plugin) : ""));
  if (policy.opened) tables.push(createReasonTable(policy.opened, history, title, prefix));
  const all = createTable({ caption: `All of ${title}'s statistics`, headings: ["Series", "Value"], noun: "series" });
  const content = html("div", {}, troubles, chart.element, ...tables.map(({ element }) => element));
  const details = html("details", {}, html("summary", {}, "All numbers"), all.element);
  const element = html("article", { class: "card", id: policy.id ?? policy.plugin, tabindex: "-1" },
    html("h3", {}, html("span", {}, title), level.element), html("p", { class: "quiet" }, policy.about), content, details);

  async function update(view, span, severity, rest) {
    const metrics = history.names().filter(isAbout);
    element.hidden = !metrics.some((name) => history.series(name).some((series) => isShown(series.labels) && history.isThere(series)));
    if (element.hidden) return;
    level.update(severity ?? "");
    chart.update(view, span);
    for (const each of tables) {
      await rest();
      await each.update(view, rest);
    }
    await rest();
    fillTroubles(troublesOf(history, prefix, policy.troubles));
    if (details.open) all.update(await allSeries(history, metrics, rest), view);
  }
  // A closed part is not updated.
  details.addEventListener("toggle", () => element.dispatchEvent(new Event("refresh", { bubbles: true })));
  return { title, element, content, isPart, update };
}

function createRateChart({ lines }, history, prefix) {
  const chart = lineChart("Per second", perSecond);
  const read = () => lines.map(({ name, metric, where = () => true }) =>
    ({ name, points: history.rates(history.find(prefix + metric, (labels) => isShown(labels) && where(labels))) }));
  return { element: chart.element, update: (view, span) => chart.update(read(), span) };
}

// A gauge's values over time, for each policy and value of the label `each`: the worst, and the number of others.
function createGaugeChart({ plugin, lines, states, tables: [{ noun }] }, history, prefix) {
  const { title, metric, each, format } = states ?? lines[0];
  const chart = states ? stateChart(title, states.names) : lineChart(title, format);
  const rest = html("p", { class: "rest quiet" });
  const groups = new Groups(history, [{ metric: prefix + metric }], ["policy", each]);
  function update(view, span) {
    const found = groups.list().map((group) => ({ ...group, now: history.latest(group.all), words: wordsOf(titleOf(plugin), group.name) }))
      .filter((group) => isChosen({ words: group.words, denies: states ? group.now > 0 : undefined }, view));
    // The worst state is the greatest, the worst balance the lowest.
    found.sort((left, right) => (states ? right.now - left.now : left.now - right.now));
    const left = found.slice(MOST_LINES);
    chart.update(found.slice(0, MOST_LINES).map(({ name, all }) => ({ name, points: history.values(all) })), span);
    chart.element.hidden = found.length === 0;
    setText(rest, left.length === 0 ? "" : `${count(left.length)} more ${noun}: ${states ? summaryOf(left, states.names) : `each has ${format(left[0].now)} or more`}.`);
    rest.hidden = left.length === 0;
  }
  return { element: html("div", {}, chart.element, rest), update };
}

// "2 open, 5 closed", the worst first.
function summaryOf(groups, names) {
  return names.map(({ text }, state) => [groups.filter(({ now }) => now === state).length, text])
    .filter(([amount]) => amount > 0).reverse().map(([amount, text]) => `${count(amount)} ${text}`).join(", ");
}

// The filter finds the rows of a part by `plugin`, too.
function createCountTable({ caption, noun, by, only, columns }, history, title, prefix, plugin) {
  const table = createTable({ caption, label: `${title}: ${caption}`, headings: [headingOf(by), ...columns.map((column) => column.title)], noun });
  // What columns are divided by, and what every row has, follows the columns.
  const others = [...columns.map(({ per }) => per), only].filter(Boolean);
  const placeOf = (metric) => columns.length + others.indexOf(metric);
  const metrics = [...columns, ...others.map((metric) => ({ metric }))];
  const groups = new Groups(history, metrics.map(({ metric, where }) => ({ metric: prefix + metric, where })), by);
  const isRow = (group) => !only || group.columns[placeOf(only)].some((series) => history.isThere(series));
  const canDeny = columns.some(({ denies }) => denies);
  const update = async (view, rest) => {
    const rows = [];
    for (const group of groups.list()) {
      if (isRow(group)) rows.push(rowOf(group, view));
      if (rows.length % 50 === 0) await rest();
    }
    table.update(rows, view);
  };
  const rowOf = (group, view) => {
    const counted = (index) => (view.sinceStart ? history.latest(group.columns[index]) : history.increase(group.columns[index]));
    const values = columns.map(({ now, per }, index) => {
      if (now) return history.latest(group.columns[index]);
      if (!per) return counted(index);
      const divisor = counted(placeOf(per));
      return divisor > 0 ? counted(index) / divisor : undefined;
    });
    const total = (chosen) => columns.reduce((sum, column, index) => sum + (chosen(column) ? values[index] ?? 0 : 0), 0);
    const worst = columns.flatMap((column, index) => column.worst ? [column.worst(values[index] ?? 0)] : []);
    const denied = total(({ denies }) => denies);
    return {
      key: group.key,
      words: (group.words ??= wordsOf(plugin, title, group.name)),
      weight: [...worst, denied, total(({ now, per }) => !now && !per)],
      denies: canDeny ? denied > 0 : undefined,
      cells: () => [group.name, ...columns.map(({ now, format = now ?? count }, index) => format(values[index]))],
      isMarked: (place) => place > 0 && isMarked(columns[place - 1], values[place - 1]),
    };
  };
  return { element: table.element, update };
}

function isMarked({ denies, isBad }, value) {
  return denies ? value > 0 : isBad?.(value) === true;
}

// "Policy / limit"
function headingOf([first, ...others]) {
  return [first[0].toUpperCase() + first.slice(1), ...others].join(" / ");
}

function createReasonTable({ caption, metric }, history, title, prefix) {
  const table = createTable({ caption, label: `${title}: ${caption}`, headings: ["Reason", "Count"], noun: "reasons" });
  const groups = new Groups(history, [{ metric: prefix + metric }], ["reason"]);
  const update = (view) => table.update(groups.list()
    .map(({ key, name, all }) => ({ key, name, value: view.sinceStart ? history.latest(all) : history.increase(all) }))
    .filter(({ value }) => value > 0)
    .map(({ key, name, value }) => ({ key, words: wordsOf(title, name), weight: [value], cells: () => [name, count(value)] })), view);
  return { element: table.element, update };
}

function troublesOf(history, prefix, troubles) {
  return troubles
    .map(({ metric, text }) => ({ key: metric, text, amount: history.increase(history.find(prefix + metric, isShown), TROUBLE_SPAN) }))
    .filter(({ amount }) => amount > 0);
}

function createTrouble() {
  const element = html("li");
  return { element, update: ({ amount, text }) => setText(element, `${count(amount)} ${text}`) };
}

async function allSeries(history, names, rest) {
  const rows = [];
  for (const series of names.flatMap((name) => history.find(name, isShown))) {
    rows.push({
      key: series.text,
      words: series.text.toLowerCase(),
      weight: [],
      cells: () => [series.text.replaceAll(",", ", "), count(history.latest([series]))],
    });
    if (rows.length % 500 === 0) await rest();
  }
  return rows;
}
