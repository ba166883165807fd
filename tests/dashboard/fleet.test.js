// Limits of a fleet on the live page: simulated, and on the demo's two Envoys with a rate-limit service and a Redis.
// `make test-dashboard` gives ENVOY_BIN and CHROMIUM_BIN.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { startEnvoys, startRateLimitService } from "./demo.js";
import { simulatedPages, noticesOf } from "./simulated.js";
import { cell, openPage, screenshot, startBrowser, until, untilState } from "./page.js";
import { calm, fleet } from "./statistics.js";

const { open } = simulatedPages();

// The rows of a table of the panel, by its caption.
function rowsOf(page, caption) {
  return page.locator("#fleet table").filter({ has: page.locator("caption", { hasText: caption }) }).locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => [...row.children].map(({ textContent }) => textContent)));
}

describe("limits of a fleet", () => {
  test("have no panel where there are none, and are not said to be missing", async () => {
    const { page, play } = await open({ at: (seconds) => calm(seconds) });
    await play(4);

    assert.ok(await page.locator("#rate_limit").isVisible());
    assert.ok(await page.locator("#fleet").isHidden());
    assert.equal(await page.locator("#absent").textContent(), "");
  });

  test("have one: what the service granted, what is unused, the calls, and the age of leases", async () => {
    const { page, play } = await open({ at: (seconds) => calm(seconds, fleet(seconds)) });
    await play(120);

    assert.deepEqual(await rowsOf(page, "Rate-limit services"), [["edge / main", "no", "0 s"]]);
    assert.deepEqual(await rowsOf(page, "Requests by limit"), [
      ["edge / search", "lease", "12,000", "300", "420"],
      ["edge / uploads", "each", "120", "180", "0"],
    ]);
    // Four leases a second: three lasted a second, and one seven.
    assert.deepEqual(await rowsOf(page, "Hits by limit"), [
      ["edge / search", "13,200", "60", "1,200", "2.5 s"],
      ["edge / uploads", "120", "–", "–", "–"],
    ]);
    assert.deepEqual(await rowsOf(page, "Calls by limit"), [
      ["edge / search", "240", "60", "–", "–"],
      ["edge / uploads", "120", "60", "0", "0"],
    ]);
    assert.deepEqual(await rowsOf(page, "While the service is out"), [
      ["edge / search", "allow", "0"],
      ["edge / uploads", "local", "0"],
    ]);
    const legend = await page.locator("#fleet .legend li").allTextContents();
    assert.deepEqual(legend, ["hits taken222/s", "hits wasted20/s", "calls8/s", "requests that waited8/s"]);
    assert.ok(await page.locator("#fleet h3 .pill").isHidden());
    // The limits without a fleet are in the other panel only.
    assert.equal(await page.locator("#fleet").getByText("per-client").count(), 0);
    assert.deepEqual(page.faults, []);
  });

  test("show an outage, and what happens meanwhile", async () => {
    const at = (seconds) => calm(seconds, fleet(seconds, Math.max(0, seconds - 60)));
    const { page, play } = await open({ at });
    await play(150);

    assert.deepEqual(await noticesOf(page), ["warning: A rate-limit service does not answer"]);
    assert.equal(await page.locator("#notices a").getAttribute("href"), "#fleet");
    assert.equal(await page.locator("#notices a").textContent(), "Show limits of a fleet");
    assert.equal(await page.locator("#fleet h3 .pill").textContent(), "warning");
    assert.deepEqual(await rowsOf(page, "Rate-limit services"), [["edge / main", "yes", "90 s"]]);
    // The limit that on_outage decides about comes first.
    assert.deepEqual(await rowsOf(page, "While the service is out"), [
      ["edge / uploads", "local", "120"],
      ["edge / search", "allow", "0"],
    ]);
    assert.deepEqual(await page.locator("#fleet td.marked").allTextContents(), ["yes", "120"]);
    await screenshot(page, "fleet-outage");
  });

  test("are found by their name, and by the plugin's", async () => {
    const { page, play } = await open({ at: (seconds) => calm(seconds, fleet(seconds)) });
    await play(4);

    await page.locator("#filter").fill("rate-limit sea");

    await until(page, () => document.querySelectorAll("#fleet .table")[1].querySelectorAll("tbody tr").length === 1);
    assert.equal((await rowsOf(page, "Calls by limit"))[0][0], "edge / search");
    await page.locator("#filter").fill("");
    await page.locator("#denies").check();
    await until(page, () => document.querySelectorAll("#fleet .table")[1].querySelectorAll("tbody tr").length === 1);
    assert.equal((await rowsOf(page, "Requests by limit"))[0][0], "edge / search");
  });
});

describe("the demo's fleet", () => {
  const LIVE_PAGES = [10013, 10014];
  const API = [10011, 10012];
  let envoys;
  let service;
  let browser;

  before(async () => {
    envoys = await startEnvoys(process.env.ENVOY_BIN, ["upstream.yaml", "fleet.yaml", "fleet.yaml fleet/second.sed"], ["9902", "9903", "9904"]);
    service = await startRateLimitService(new URL(envoys.address(10009)).port);
    browser = await startBrowser(process.env.CHROMIUM_BIN);
  });

  after(async () => {
    await browser?.close();
    await service?.stop();
    await envoys?.stop();
  });

  const sendToBoth = async (path, times, headers) => {
    const statuses = [];
    for (let sent = 0; sent < times; sent++) for (const port of API) statuses.push(await envoys.send(path, headers, port));
    return statuses;
  };

  test("each page shows its Envoy's part, and an outage of the service", async (context) => {
    if (!service && !process.env.REQUIRE_ALL) return context.skip("there is no Redis");
    assert.ok(service, "there is no Redis");
    const pages = [];
    for (const port of LIVE_PAGES) {
      const page = await openPage(browser, envoys.address(port));
      await untilState(page, "live");
      pages.push(page);
    }

    const statuses = await sendToBoth("/api/orders", 8, { "x-api-key": "page" });
    assert.deepEqual(statuses.filter((status) => status === 429).length, 6);
    // In the last second of a window no lease lasts, and in the first one not all answers are certain.
    const second = (Date.now() / 1000) % 60;
    if (second > 54 || second < 2) await sleep(1000 * ((62 - second) % 60));
    await sendToBoth("/api/catalogue/", 100);

    for (const page of pages) {
      await until(page, () => /catalogue\s*lease\s*100/.test(document.querySelector("#fleet").textContent));
      assert.equal(await cell(page, "fleet", "fleet / per-key", "Mode"), "each");
      assert.equal(await cell(page, "fleet", "fleet / per-key", "Admitted"), "5");
      assert.equal(await cell(page, "fleet", "fleet / per-key", "Waited"), "8");
      assert.equal(await cell(page, "fleet", "fleet / per-key", "Refused"), "3");
      const waited = Number(await cell(page, "fleet", "fleet / catalogue", "Waited"));
      assert.ok(waited >= 1 && waited < 50, `${waited} waited`);
      assert.ok(Number(await cell(page, "fleet", "fleet / catalogue", "Taken")) >= 100);
      assert.match(await cell(page, "fleet", "fleet / catalogue", "Lease age"), /^[\d.]+ m?s$/);
      assert.equal(await cell(page, "fleet", "fleet / main", "Out"), "no");
    }

    await fetch(`${envoys.address(9902)}/runtime_modify?demo.ratelimit_down=100`, { method: "POST" });
    await sendToBoth("/api/orders", 5, { "x-api-key": "outage" });
    for (const page of pages) {
      await until(page, () => /A rate-limit service does not answer/.test(document.querySelector("#notices").textContent));
      assert.equal(await cell(page, "fleet", "fleet / main", "Out"), "yes");
      assert.equal(await cell(page, "fleet", "fleet / per-key", "on_outage"), "local");
      assert.equal(await cell(page, "fleet", "fleet / per-key", "Requests"), "5");
      await screenshot(page, `fleet-${pages.indexOf(page)}`);
      assert.deepEqual(page.faults, []);
      await page.close();
    }
  });
});
