// The live page in headless Chromium. `make test-dashboard` gives ENVOY_BIN and CHROMIUM_BIN.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { startDemo } from "./demo.js";
import { cell, faintTexts, openPage, screenshot, startBrowser, until, untilState } from "./page.js";
import { statistics, statusView } from "./statistics.js";

let demo;
let browser;
let pages = [];

before(async () => {
  demo = await startDemo(process.env.ENVOY_BIN);
  browser = await startBrowser(process.env.CHROMIUM_BIN);
});

afterEach(async () => {
  for (const page of pages) await page.close();
  pages = [];
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

async function open(options) {
  const page = await openPage(browser, demo.address(10005), options);
  pages.push(page);
  return page;
}

// A page that reads made-up statistics, on a clock that moves only with `play`. `breaker` tells a breaker's
// state after so many seconds.
async function openWithStatistics({ breaker = () => 0, ...options }) {
  let seconds = 0;
  const page = await open({
    ...options,
    statistics: () => statistics(seconds, breaker(seconds)),
    statusView: () => statusView(breaker(seconds)),
  });
  await untilState(page, "live");
  const play = async (more) => {
    for (const end = seconds + more; seconds < end;) {
      seconds += 2;
      await page.clock.runFor(2_000);
      await until(page, () => / 0 s /.test(document.querySelector("#age").textContent));
    }
  };
  return { page, play };
}

describe("before the demo", () => {
  test("values change when traffic flows, and a limit is seen denying", async () => {
    const page = await open();
    await untilState(page, "live");

    for (let sent = 0; sent < 8; sent++) await demo.send("/api/orders", { "x-api-key": "dashboard" });
    await demo.send("/down");

    await until(page, () => /[1-9]/.test(document.querySelector("#signals .value").textContent));
    await until(page, () => /^3/.test(document.querySelector("#rate_limit tbody td:nth-of-type(3)")?.textContent));
    assert.match(await cell(page, "rate_limit", "demo / per-key", "Admitted"), /^5/);
    assert.match(await cell(page, "rate_limit", "rate_limited", "Count"), /^3/);
    assert.match(await cell(page, "security_headers", "demo / api", "Responses"), /^8/);
    await until(page, () => /1 with 5xx, 3 with 4xx, of 9/.test(document.querySelector("#signals").textContent));
    // Envoy adds up its histograms every five seconds.
    await until(page, () => / ms/.test(document.querySelectorAll("#signals .value")[2].textContent));
    await screenshot(page, "demo");
    assert.deepEqual(page.faults, []);
  });

  test("a breaker is seen opening, and which key it is", async () => {
    const page = await open();
    await until(page, () => /closed/.test(document.querySelector("#circuit_breaker .states").textContent));

    for (let sent = 0; sent < 3; sent++) await demo.send("/orders/", { "x-envoy-fault-abort-request": "503" });

    await until(page, () => /open/.test(document.querySelector("#circuit_breaker .states strong").textContent));
    await until(page, () => /orders \/ upstream\s*open/.test(document.querySelector("#circuit_breaker").textContent));
    assert.match(await cell(page, "circuit_breaker", "orders / upstream", "Reason"), /^consecutive/);
    await screenshot(page, "demo-breaker");
    assert.deepEqual(page.faults, []);
  });

  test("the page's own listener and the admin interface are no traffic", async () => {
    const page = await open();
    await untilState(page, "live");

    const listeners = await page.locator("#listener option").allTextContents();

    assert.deepEqual(listeners, ["all", "pushed", "with_portcullis", "without_portcullis"]);
    assert.equal(await page.locator("#security_headers tbody tr").filter({ hasText: "dashboard" }).count(), 0);
  });

  test("only the statistics of the admin interface are to be had, and under this name only", async () => {
    const answer = async (path, options) => (await fetch(demo.address(10005) + path, options)).status;

    assert.equal(await answer("/stats/prometheus"), 200);
    assert.equal(await answer("/stats/prometheus", { method: "POST" }), 404);
    assert.equal(await answer("/quitquitquit", { method: "POST" }), 404);
    assert.equal(await answer("/config_dump"), 404);
    assert.equal(await demo.send("/stats/prometheus", { host: "localhost:10005" }, 10005), 200);
    assert.equal(await demo.send("/stats/prometheus", { host: "evil.example" }, 10005), 404);
  });
});

describe("data that is missing or old", () => {
  test("a page that has not read anything yet says that it waits, and why", async () => {
    const page = await open({ statistics: () => "" });

    await until(page, () => /no statistics in it/.test(document.querySelector("#age").textContent));

    assert.equal(await page.locator("#state").textContent(), "Waiting for Envoy");
    assert.equal(await page.locator("#signals .value").first().textContent(), "");
  });

  test("values grow stale when Envoy is silent, and come back with it", async () => {
    const page = await open();
    await untilState(page, "live");

    await page.route("**/stats/prometheus*", (route) => route.fulfill({ status: 503 }));
    await untilState(page, "stale");
    assert.match(await page.locator("#age").textContent(), /last reading \d+ s ago: Envoy answered with 503/);
    await screenshot(page, "stale");

    await page.unroute("**/stats/prometheus*");
    await untilState(page, "live");
  });

  test("a policy that is not there is said to be not there", async () => {
    const page = await open({ statistics: () => '# TYPE a counter\nportcullis_rate_limit_admitted{policy="p",limit="l"} 1' });

    await untilState(page, "live");

    const absent = "Not in this Envoy's configuration: security-headers, jwt-auth, circuit-breaker, retry-budget.";
    assert.equal(await page.locator("#absent").textContent(), absent);
    assert.ok(await page.locator("#jwt_auth").isHidden());
    assert.equal(await page.locator("#signals .value").first().textContent(), "–");
  });

  test("statistics without labels are noticed", async () => {
    const page = await open({ statistics: () => "# TYPE a counter\nportcullis_rate_limit_policy___demo___admitted{} 1" });

    await untilState(page, "live");

    assert.match(await page.locator("#notices").textContent(), /stats_tags\.yaml/);
  });
});

describe("all five policies, with made-up statistics", () => {
  test("each has its numbers, and a breaker is seen opening", async () => {
    const breaker = (seconds) => (seconds < 400 ? 0 : seconds < 410 ? 1 : 2);
    const { page, play } = await openWithStatistics({ breaker });

    await play(200);
    assert.match(await page.locator("#circuit_breaker .states").textContent(), /edge \/ payments\s*closed/);
    await play(220);

    assert.match(await page.locator("#circuit_breaker .states").textContent(), /edge \/ payments\s*open/);
    assert.match(await cell(page, "circuit_breaker", "edge / payments", "Open keys"), /^1/);
    assert.match(await cell(page, "circuit_breaker", "payments / payments-v2", "Time left"), /^13 s/);
    assert.match(await cell(page, "jwt_auth", "expired", "Count"), /^180 /);
    assert.match(await cell(page, "rate_limit", "edge / per-client", "Denied"), /^720 /);
    assert.match(await cell(page, "retry_budget", "edge / orders", "Retries"), /^180 /);
    assert.match(await cell(page, "security_headers", "edge / api", "Responses"), /^1,800 /);
    const levels = await page.locator("#signals .level").allTextContents();
    assert.deepEqual(levels, ["", "warning", "warning", "warning"]);
    assert.match(await page.locator("#rate_limit .troubles").textContent(), /had to make room/);
    await screenshot(page, "all-policies");
    assert.deepEqual(page.faults, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1280]) {
      test(`is readable ${width} pixels wide in ${colorScheme}`, async () => {
        const { page, play } = await openWithStatistics({ width, colorScheme, breaker: () => 2 });
        await play(60);

        const full = await page.evaluate(() => document.documentElement.scrollWidth);

        assert.equal(full, width);
        assert.deepEqual(await faintTexts(page), []);
        await screenshot(page, `${colorScheme}-${width}`);
      });
    }
  }

  test("everything can be reached with the keyboard, and has a name", async () => {
    const { page, play } = await openWithStatistics({});
    await play(6);

    const reached = [];
    while (reached.length < 100 && reached.at(-1) !== "BODY") {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => {
        const { tagName, textContent, ariaLabel, labels } = document.activeElement;
        const name = ariaLabel ?? labels?.[0].textContent ?? textContent;
        return tagName === "BODY" ? tagName : `${tagName} ${name}`.slice(0, 30);
      }));
    }

    assert.equal(reached[0], "A Skip to the policies");
    assert.match(reached[1], /^SELECT Listener/);
    assert.ok(reached.includes("DIV By limit"), reached.join());
    assert.equal(reached.filter((name) => name === "SUMMARY All numbers").length, 5);
    const nameless = page.locator("svg[role=img]:not([aria-label])");
    assert.equal(await nameless.count(), 0);
  });

  test("all numbers of a policy are shown when they are asked for", async () => {
    const { page, play } = await openWithStatistics({});
    await play(6);

    await page.locator("#rate_limit summary").click();

    const rows = page.locator("#rate_limit details tbody tr");
    await until(page, () => document.querySelectorAll("#rate_limit details tbody tr").length === 3);
    assert.match(await rows.filter({ hasText: "denied" }).textContent(), /reason="rate_limited"/);
  });
});

describe("the arithmetic", () => {
  // Readings of one counter or histogram at given seconds, and what a function makes of the history.
  async function ask(page, readings, question) {
    return page.evaluate(async ([readings, question]) => {
      const { History } = await import("/history.js");
      const { parse } = await import("/exposition.js");
      const history = new History({ span: 600_000, gap: 10_000 });
      for (const [seconds, text] of readings) history.add(1000 * seconds, parse(text));
      return new Function("history", `return ${question}`)(history);
    }, [readings, question]);
  }
  const counter = (value) => `# TYPE c counter\nc{a="x"} ${value}`;

  test("counters that begin anew lose nothing", async () => {
    const page = await askable();
    const readings = [[0, counter(10)], [2, counter(15)], [4, counter(2)], [6, counter(3)]];

    assert.equal(await ask(page, readings, 'history.increase("c")'), 8);
    assert.equal(await ask(page, readings, 'history.latest("c")'), 3);
  });

  test("increases are those of the span, and unknown from a single reading", async () => {
    const page = await askable();
    const readings = [0, 30, 60, 90].map((seconds) => [seconds, counter(seconds * 2)]);

    assert.equal(await ask(page, readings, 'history.increase("c")'), 120);
    assert.equal(await ask(page, readings, 'history.increase("c", undefined, 30000)'), 60);
    assert.equal(await ask(page, readings.slice(0, 1), 'history.increase("c") === undefined'), true);
    assert.equal(await ask(page, readings, 'history.increase("other") === undefined'), true);
  });

  test("a counter that appears was 0 before", async () => {
    const page = await askable();

    assert.equal(await ask(page, [[0, "b 1"], [2, counter(4)]], 'history.increase("c")'), 4);
  });

  test("rates have a gap where readings are missing", async () => {
    const page = await askable();
    const readings = [0, 2, 4, 40, 42].map((seconds) => [seconds, counter(seconds * 3)]);

    const rates = await ask(page, readings, 'history.rates("c").map(({ value }) => value)');

    assert.deepEqual(rates, [3, 3, null, 3]);
  });

  test("quantiles are linear within a bucket", async () => {
    const page = await askable();
    const buckets = (all) => `# TYPE h histogram\nh_bucket{le="10"} ${all / 2}\nh_bucket{le="20"} ${all}\nh_bucket{le="+Inf"} ${all}`;
    const readings = [[0, buckets(0)], [2, buckets(100)]];

    assert.deepEqual(await ask(page, readings, 'history.quantiles("h", [0.25, 0.5, 0.75, 1])'), [5, 10, 15, 20]);
  });

  test("labels may hold anything", async () => {
    const page = await askable();
    const readings = [[0, String.raw`c{a="x} 1",b="\"q\"\\\n"} 7`]];

    assert.deepEqual(await ask(page, readings, 'history.labels("c")'), [{ a: "x} 1", b: '"q"\\\n' }]);
  });

  // The page's policy forbids `new Function`; one without it does not.
  async function askable() {
    const page = await browser.newPage({ bypassCSP: true });
    pages.push(page);
    await page.goto(`${demo.address(10005)}/icon.svg`);
    return page;
  }
});
