// What was read from Envoy in the last minutes, and sums, increases, rates and quantiles of it.
//
// - Times are milliseconds of a steady clock.
// - Series are chosen by a metric's name and a function of their labels.
// - A counter that goes down was started anew (Envoy restarted): what it shows then has been added
//   since. `latest` gives it as it stands; everything else goes on counting.
// - A counter that Envoy did not yet show was 0: many appear with their first event.
// - `undefined` (in series: null) means unknown: no such series, or no reading.

const ANY = () => true;

export class History {
  #readings = []; // {time, values: Map of key to value}, oldest first
  #series = new Map(); // name -> Map of key to {labels, grows}
  #raw = new Map(); // key -> value, as last read
  #offsets = new Map(); // key -> what a counter had before it was started anew

  // Readings older than `span` are dropped. Readings further apart than `gap` have a gap between them.
  constructor({ span, gap }) {
    this.span = span;
    this.gap = gap;
  }

  add(time, samples) {
    const raw = new Map();
    const values = new Map();
    for (const { key, name, labels, value, grows } of samples) {
      if (!this.#series.has(name)) this.#series.set(name, new Map());
      this.#series.get(name).set(key, { labels, grows });
      if (grows && value < this.#raw.get(key)) {
        this.#offsets.set(key, (this.#offsets.get(key) ?? 0) + this.#raw.get(key));
      }
      raw.set(key, value);
      values.set(key, value + (this.#offsets.get(key) ?? 0));
    }
    this.#raw = raw;
    this.#readings.push({ time, values });
    while (this.#readings[0].time < time - this.span) this.#readings.shift();
  }

  get newest() {
    return this.#readings.at(-1)?.time;
  }

  get oldest() {
    return this.#readings[0]?.time;
  }

  names() {
    return [...this.#series.keys()];
  }

  // The labels of each series that is there now.
  labels(name, where = ANY) {
    return this.#keys(name, where)
      .filter((key) => this.#raw.has(key))
      .map((key) => this.#series.get(name).get(key).labels);
  }

  // The sum as Envoy shows it now.
  latest(name, where = ANY) {
    return sum(this.#raw, this.#keys(name, where));
  }

  // How much was added in the last `span`, or since the first reading.
  increase(name, where = ANY, span = 60_000) {
    const keys = this.#keys(name, where);
    const last = this.#readings.at(-1);
    if (!last || sum(last.values, keys) === undefined || this.#readings.length < 2) return undefined;
    return difference(this.#since(this.#readings.length - 1, span), last, keys);
  }

  // Over how much time `increase` can look back.
  covered(span = 60_000) {
    const last = this.#readings.length - 1;
    return last < 1 ? 0 : this.#readings[last].time - this.#since(last, span).time;
  }

  // How much was added per second, at each reading, over the `span` before it.
  rates(name, where = ANY, span = 10_000) {
    const keys = this.#keys(name, where);
    return this.#points(span, (from, to) => (1000 * difference(from, to, keys)) / (to.time - from.time));
  }

  // The sum at each reading.
  values(name, where = ANY) {
    const keys = this.#keys(name, where);
    return this.#readings.map(({ time, values }) => ({ time, value: sum(values, keys) ?? null }));
  }

  // The quantiles of what a histogram was given in the last `span`.
  quantiles(name, shares, where = ANY, span = 60_000) {
    const buckets = this.#buckets(name, where);
    const last = this.#readings.length - 1;
    if (last < 1) return shares.map(() => undefined);
    return quantiles(buckets, shares, this.#since(last, span), this.#readings[last]);
  }

  // The same at each reading: a series for each share.
  quantileSeries(name, shares, where = ANY, span = 20_000) {
    const buckets = this.#buckets(name, where);
    const points = this.#points(span, (from, to) => quantiles(buckets, shares, from, to));
    return shares.map((_, index) => points.map(({ time, value }) => ({ time, value: value?.[index] ?? null })));
  }

  #keys(name, where) {
    const keys = [];
    for (const [key, { labels }] of this.#series.get(name) ?? []) if (where(labels)) keys.push(key);
    return keys;
  }

  // Upper bounds, ascending, each with the keys of its series.
  #buckets(name, where) {
    const buckets = new Map();
    for (const [key, { labels }] of this.#series.get(`${name}_bucket`) ?? []) {
      if (!where(labels)) continue;
      const bound = Number(labels.le.replace("+Inf", "Infinity"));
      buckets.set(bound, [...(buckets.get(bound) ?? []), key]);
    }
    return [...buckets].sort(([left], [right]) => left - right);
  }

  // The oldest reading that is at most `span` older than the one at `index`, or else the one before.
  #since(index, span) {
    const from = this.#readings[index].time - span;
    const oldest = this.#readings.findIndex(({ time }) => time >= from);
    return this.#readings[Math.min(oldest, index - 1)];
  }

  #points(span, value) {
    return this.#readings.slice(1).map((to, before) => {
      const isGap = to.time - this.#readings[before].time > this.gap;
      return { time: to.time, value: isGap ? null : value(this.#since(before + 1, span), to) };
    });
  }
}

function sum(values, keys) {
  let total;
  for (const key of keys) if (values.has(key)) total = (total ?? 0) + values.get(key);
  return total;
}

function difference(from, to, keys) {
  return Math.max(0, (sum(to.values, keys) ?? 0) - (sum(from.values, keys) ?? 0));
}

// Linear within a bucket, as Prometheus's histogram_quantile does it.
function quantiles(buckets, shares, from, to) {
  const counts = buckets.map(([bound, keys]) => [bound, difference(from, to, keys)]);
  const total = counts.at(-1)?.[1] ?? 0;
  return shares.map((share) => {
    if (total === 0) return undefined;
    const rank = share * total;
    const index = counts.findIndex(([, count]) => count >= rank);
    const [lower, below] = index > 0 ? counts[index - 1] : [0, 0];
    const [upper, count] = counts[index];
    return upper === Infinity ? lower : lower + ((upper - lower) * (rank - below)) / (count - below);
  });
}
