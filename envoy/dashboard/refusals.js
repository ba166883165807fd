// Refusals of the policies, by plugin, rule and reason, from the labels of their counters.

import { count } from "./format.js";
import { Groups } from "./groups.js";
import { POLICIES, titleOf } from "./policies.js";
import { createTable } from "./table.js";
import { wordsOf } from "./view.js";

// Returns a function that lists the refusals since Envoy started: {key, plugin, title, name, reason, isFailure, minute, total}.
export function createRefusals(history) {
  const sources = POLICIES.flatMap(({ plugin, refusals }) => refusals.map(({ metric, where, rule, kind, failed }) => ({
    plugin,
    failed,
    title: kind ? `${titleOf(plugin)}, ${kind}` : titleOf(plugin),
    groups: new Groups(history, [{ metric: `portcullis_${plugin}_${metric}`, where }], ["policy", rule, "reason"]),
  })));
  return () => sources.flatMap(({ plugin, title, failed, groups }) => groups.list()
    .map((group) => ({ ...group, total: history.latest(group.columns[0]) }))
    .filter(({ total }) => total > 0)
    .map(({ key, values: [policy, rule, reason], columns: [series], total }) => ({
      key: `${title} ${key}`,
      plugin,
      title,
      name: `${policy} / ${rule}`,
      reason,
      isFailure: failed(reason),
      minute: history.increase(series) ?? 0,
      total,
    })));
}

// The table of reasons, the most frequent first.
export function createWhy(parent) {
  const table = createTable({
    caption: "Most frequent first",
    label: "Refusals by plugin, rule and reason",
    headings: ["Plugin", "Policy / rule", "Reason", "Last minute", "Since start"],
    texts: 3,
    noun: "reasons",
  });
  parent.append(table.element);
  // The first reading contains no information about the last minute.
  return function update(refusals, view, isFirst) {
    const shown = refusals.filter(({ minute, total }) => (view.sinceStart ? total : minute) > 0);
    const nothing = `Nothing was refused ${view.sinceStart ? "since Envoy started" : "in the last minute"}.`;
    table.update(shown.map(({ key, title, name, reason, minute, total }) => ({
      key,
      words: wordsOf(title, name, reason),
      weight: view.sinceStart ? [total] : [minute, total],
      denies: true,
      cells: () => [title, name, reason, count(minute), count(total)],
    })), view, isFirst && !view.sinceStart ? "Counting takes two readings." : nothing);
  };
}
