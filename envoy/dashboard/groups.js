// Groups series of one or more metrics by the values of some of their labels: for example, everything about one limit.
// Each series enters its group once, when it appears.

export const NONE = "–";

// This page's own listener also has security headers. The page does not show them.
const OWN_POLICY = "dashboard";

// Names in the order that people expect: "limit-2" before "limit-10".
const compareNames = new Intl.Collator("en", { numeric: true }).compare;

export class Groups {
  #groups = new Map(); // values as text -> {key, values, name, all, columns: for each column its list of series}
  #sorted = [];

  // Columns are {metric, where}; `where` is an optional function of labels.
  constructor(history, columns, by) {
    this.history = history;
    this.by = by;
    this.width = columns.length;
    columns.forEach(({ metric, where = () => true }, index) =>
      history.watch(metric, (series) => this.#put(series, index, where)));
  }

  // The groups that Envoy shows now, in the order of their names.
  list() {
    if (this.#sorted.length !== this.#groups.size) {
      this.#sorted = [...this.#groups.values()].sort((left, right) => compareNames(left.name, right.name));
    }
    return this.#sorted.filter(({ all }) => all.some((series) => this.history.isThere(series)));
  }

  #put(series, index, where) {
    if (!isShown(series.labels)) return;
    const values = this.by.map((label) => series.labels[label] ?? NONE);
    const key = values.join("\n");
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, values, name: values.join(" / "), all: [], columns: Array.from({ length: this.width }, () => []) };
      this.#groups.set(key, group);
    }
    group.all.push(series);
    if (where(series.labels)) group.columns[index].push(series);
  }
}

export function isShown(labels) {
  return labels.policy !== OWN_POLICY;
}
