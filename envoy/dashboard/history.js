// The readings of the last minutes, and their sums, increases, rates and quantiles.
//
// - Times are milliseconds of a steady clock.
// - Methods take a list of series, which `find` and groups.js select.
// - A counter that decreases was reset, because Envoy restarted: its new value counts as added since. `latest`
//   returns the value as Envoy shows it; all other methods continue the count.
// - A counter that Envoy does not show yet is 0: many appear with their first event.
// - `undefined` (in points: null) means unknown: no such series, or no reading.
//
// A reading is one array of numbers, indexed by the series' `index`; NaN marks what the reading does not have.

const ANY = () => true;

export class History {
  #readings = []; // {time, values}, oldest first
  #all = []; // series by index
  #byName = new Map(); // name -> list of series
  #watchers = new Map(); // name -> functions of a series
  #last = []; // by index: the value as last shown, even if it is gone now
  #offsets = []; // by index: what a counter had before its resets

  // Readings older than `span` are dropped. Between readings further apart than `gap`, charts have a gap.
  constructor({ span, gap }) {
    this.span = span;
    this.gap = gap;
  }

  // `start` is the time of the very first reading.
  add(time, samples) {
    for (const { series } of samples) this.register(series);
    const values = new Float64Array(this.#all.length).fill(NaN);
    for (const { series: { index, grows }, value } of samples) {
      if (grows && value < this.#last[index]) this.#offsets[index] += this.#last[index];
      this.#last[index] = value;
      values[index] = value + this.#offsets[index];
    }
    this.#readings.push({ time, values });
    this.start ??= time;
    const tooOld = this.#readings.findIndex((reading) => reading.time >= time - this.span);
    this.#readings.splice(0, tooOld);
  }

  // Registers a series before its first reading, so that the caller can spread this work over time.
  register(series) {
    if (this.#all[series.index] !== undefined) return;
    this.#all[series.index] = series;
    this.#last[series.index] = NaN;
    this.#offsets[series.index] = 0;
    const named = this.#byName.get(series.name);
    if (named) named.push(series);
    else this.#byName.set(series.name, [series]);
    for (const take of this.#watchers.get(series.name) ?? []) take(series);
  }

  // Calls `take` for each series of a metric when it appears.
  watch(name, take) {
    if (!this.#watchers.has(name)) this.#watchers.set(name, []);
    this.#watchers.get(name).push(take);
  }

  get newest() {
    return this.#readings.at(-1)?.time;
  }

  get oldest() {
    return this.#readings[0]?.time;
  }

  names() {
    return [...this.#byName.keys()];
  }

  // All series of a metric, in the order in which they appeared; new ones come at the end.
  series(name) {
    return this.#byName.get(name) ?? [];
  }

  // The series of a metric in the newest reading whose labels match.
  find(name, where = ANY) {
    return this.series(name).filter((series) => where(series.labels) && this.isThere(series));
  }

  isThere({ index }) {
    return isKnown(this.#readings.at(-1)?.values[index]);
  }

  // The sum as Envoy shows it now.
  latest(series) {
    let total;
    for (const one of series) if (this.isThere(one)) total = (total ?? 0) + this.#last[one.index];
    return total;
  }

  // The increase in the last `span`, or since the first reading.
  increase(series, span = 60_000) {
    const last = this.#readings.length - 1;
    if (last < 1 || this.#sum(series, this.#readings[last]) === undefined) return undefined;
    return this.#difference(series, this.#since(last, span), last);
  }

  // The change of a gauge in the last `span`, or since the first reading.
  change(series, span = 60_000) {
    const last = this.#readings.length - 1;
    if (last < 1) return 0;
    return (this.#sum(series, this.#readings[last]) ?? 0) - (this.#sum(series, this.#readings[this.#since(last, span)]) ?? 0);
  }

  // The number of times that a gauge decreased.
  resets(series) {
    const values = this.values(series);
    return values.slice(1).filter(({ value }, before) => value !== null && value < (values[before].value ?? 0)).length;
  }

  // The time that `increase` covers.
  covered(span = 60_000) {
    const last = this.#readings.length - 1;
    return last < 1 ? 0 : this.#readings[last].time - this.#readings[this.#since(last, span)].time;
  }

  // The increase per second at each reading, over the `span` before it.
  rates(series, span = 10_000) {
    const sums = this.#readings.map((reading) => this.#sum(series, reading) ?? 0);
    return this.#points(span, (from, to) =>
      (1000 * Math.max(0, sums[to] - sums[from])) / (this.#readings[to].time - this.#readings[from].time));
  }

  // The sum at each reading.
  values(series) {
    return this.#readings.map((reading) => ({ time: reading.time, value: this.#sum(series, reading) ?? null }));
  }

  // The quantiles of a histogram's observations in the last `span`.
  quantiles(name, shares, where = ANY, span = 60_000) {
    const buckets = this.#buckets(name, where);
    const last = this.#readings.length - 1;
    if (last < 1) return shares.map(() => undefined);
    return this.#quantiles(buckets, shares, this.#since(last, span), last);
  }

  // The same at each reading: a list of points for each share.
  quantileSeries(name, shares, where = ANY, span = 20_000) {
    const buckets = this.#buckets(name, where);
    const points = this.#points(span, (from, to) => this.#quantiles(buckets, shares, from, to));
    return shares.map((_, index) => points.map(({ time, value }) => ({ time, value: value?.[index] ?? null })));
  }

  #sum(series, reading) {
    let total;
    for (const { index } of series) {
      const value = reading?.values[index];
      if (isKnown(value)) total = (total ?? 0) + value;
    }
    return total;
  }

  #difference(series, from, to) {
    const [before, after] = [this.#readings[from], this.#readings[to]].map((reading) => this.#sum(series, reading) ?? 0);
    return Math.max(0, after - before);
  }

  // Upper bounds, ascending, each with its series.
  #buckets(name, where) {
    const buckets = new Map();
    for (const series of this.series(`${name}_bucket`)) {
      if (!where(series.labels)) continue;
      const bound = Number(series.labels.le.replace("+Inf", "Infinity"));
      if (!buckets.has(bound)) buckets.set(bound, []);
      buckets.get(bound).push(series);
    }
    return [...buckets].sort(([left], [right]) => left - right);
  }

  // Linear within a bucket, like Prometheus's histogram_quantile.
  #quantiles(buckets, shares, from, to) {
    const counts = buckets.map(([bound, series]) => [bound, this.#difference(series, from, to)]);
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

  // The oldest reading that is at most `span` older than the one at `index`, or else the one before.
  #since(index, span) {
    const from = this.#readings[index].time - span;
    let oldest = index - 1;
    while (oldest > 0 && this.#readings[oldest - 1].time >= from) oldest -= 1;
    return oldest;
  }

  #points(span, value) {
    return this.#readings.slice(1).map(({ time }, before) => {
      const isGap = time - this.#readings[before].time > this.gap;
      return { time, value: isGap ? null : value(this.#since(before + 1, span), before + 1) };
    });
  }
}

// Readings before a series appeared have no place for it.
function isKnown(value) {
  return value !== undefined && !Number.isNaN(value);
}
