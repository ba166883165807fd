// The live page in headless Chromium. `make test-dashboard` gives ENVOY_BIN and CHROMIUM_BIN.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { startDemo } from "./demo.js";
import { cell, openPage, rowsOf, screenshot, startBrowser, until, untilState } from "./page.js";

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

describe("before the demo", () => {
  test("values change when traffic flows, and a limit is seen denying", async () => {
    const page = await open();
    await untilState(page, "live");

    for (let sent = 0; sent < 8; sent++) await demo.send("/api/orders", { "x-api-key": "dashboard" });
    await demo.send("/down");

    await until(page, () => /[1-9]/.test(document.querySelector("#signals .value").textContent));
    await until(page, () => /^3/.test(document.querySelector("#rate_limit tbody td:nth-of-type(3)")?.textContent));
    assert.match(await cell(page, "rate_limit", "demo / per-key", "Admitted"), /^5/);
    assert.deepEqual((await rowsOf(page, "#refusals"))[0], ["rate-limit", "demo / per-key", "rate_limited", "3", "3"]);
    assert.match(await cell(page, "security_headers", "demo / api", "Responses"), /^8/);
    await until(page, () => /1 with 5xx, 3 with 4xx, of 9/.test(document.querySelector("#signals").textContent));
    // Envoy merges its histograms every five seconds.
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

    await until(page, () => /had no statistics/.test(document.querySelector("#age").textContent));

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
