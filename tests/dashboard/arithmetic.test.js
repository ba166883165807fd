// The live page's sums, increases, rates and quantiles. `make test-dashboard` gives CHROMIUM_BIN.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { simulatedPages } from "./simulated.js";

const { blank } = simulatedPages();

describe("the arithmetic", () => {
  // Readings of one counter or histogram at given seconds, and the result of a method of the history.
  async function ask(readings, method, metric, ...more) {
    return (await blank()).evaluate(async ([readings, method, metric, more]) => {
      const { History } = await import("/history.js");
      const { Exposition } = await import("/exposition.js");
      const history = new History({ span: 600_000, gap: 10_000 });
      const exposition = new Exposition();
      for (const [seconds, text] of readings) history.add(1000 * seconds, [...exposition.samples(text)]);
      return history[method](["quantiles", "find"].includes(method) ? metric : history.series(metric), ...more);
    }, [readings, method, metric, more]);
  }
  const counter = (value) => `# TYPE c counter\nc{a="x"} ${value}`;

  test("counters that are reset lose nothing", async () => {
    const readings = [[0, counter(10)], [2, counter(15)], [4, counter(2)], [6, counter(3)]];

    assert.equal(await ask(readings, "increase", "c"), 8);
    assert.equal(await ask(readings, "latest", "c"), 3);
  });

  test("counters that are gone for a while after a restart lose nothing either", async () => {
    const readings = [[0, counter(10)], [2, counter(15)], [4, "b 1"], [6, counter(2)], [8, counter(3)]];

    assert.equal(await ask(readings, "increase", "c"), 8);
  });

  test("a gauge that falls was reset", async () => {
    const readings = [5, 7, 9, 1, 3, 2].map((value, index) => [index, `# TYPE c gauge\nc{} ${value}`]);

    assert.equal(await ask(readings, "resets", "c"), 2);
  });

  test("increases are those of the span, and unknown from a single reading", async () => {
    const readings = [0, 30, 60, 90].map((seconds) => [seconds, counter(seconds * 2)]);

    assert.equal(await ask(readings, "increase", "c"), 120);
    assert.equal(await ask(readings, "increase", "c", 30_000), 60);
    assert.equal(await ask(readings.slice(0, 1), "increase", "c"), undefined);
    assert.equal(await ask(readings, "increase", "other"), undefined);
  });

  test("a counter that appears was 0 before", async () => {
    assert.equal(await ask([[0, "b 1"], [2, counter(4)]], "increase", "c"), 4);
  });

  test("rates have a gap where readings are missing", async () => {
    const readings = [0, 2, 4, 40, 42].map((seconds) => [seconds, counter(seconds * 3)]);

    const rates = await ask(readings, "rates", "c");

    assert.deepEqual(rates.map(({ value }) => value), [3, 3, null, 3]);
  });

  test("quantiles are linear within a bucket", async () => {
    const buckets = (all) => `# TYPE h histogram\nh_bucket{le="10"} ${all / 2}\nh_bucket{le="20"} ${all}\nh_bucket{le="+Inf"} ${all}`;
    const readings = [[0, buckets(0)], [2, buckets(100)]];

    assert.deepEqual(await ask(readings, "quantiles", "h", [0.25, 0.5, 0.75, 1]), [5, 10, 15, 20]);
  });

  test("labels may hold anything", async () => {
    const readings = [[0, String.raw`c{a="x} 1",b="\"q\"\\\n"} 7`]];

    assert.deepEqual((await ask(readings, "find", "c")).map(({ labels }) => labels), [{ a: "x} 1", b: '"q"\\\n' }]);
  });
});
