// The live page with a thousand limits: it never blocks for long, stays short, and keeps selections.
// `make test-dashboard` gives CHROMIUM_BIN.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { simulatedPages } from "./simulated.js";
import { cell, rowsOf, screenshot, until } from "./page.js";
import { calm, manyLimits, statistics } from "./statistics.js";

const { open } = simulatedPages();
const LIMITS = 1_000;
// Users notice this as a delay, and browsers call it a long task.
const LONG = 50;

// The tasks of the page's main thread while `action` runs: milliseconds of CPU time each. Their wall time would depend
// on the machine's other load.
async function tasksOf(page, action) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline", "__metadata"] });
  await action();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const main = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(threadOf));
  return traceEvents.filter((event) => event.name === "RunTask" && main.has(threadOf(event))).map(({ tdur }) => tdur / 1_000);
}

function threadOf({ pid, tid }) {
  return `${pid} ${tid}`;
}

describe("a thousand limits", () => {
  const text = (seconds) => `${manyLimits(LIMITS, seconds)}\n${statistics(seconds, calm(seconds))}`;

  test("never block the page for over 50 ms", async () => {
    const start = Date.now();
    const { page } = await open({ clock: false, text: () => text((Date.now() - start) / 1000) });
    await until(page, () => document.querySelectorAll("#rate_limit tbody tr").length >= 8);

    const tasks = await tasksOf(page, async () => {
      await page.reload();
      await page.waitForTimeout(8_000);
      await page.locator("#filter").pressSequentially("limit-99", { delay: 100 });
      await until(page, () => document.querySelector("#rate_limit tbody th").textContent === "edge / limit-999");
      await page.waitForTimeout(3_000);
    });

    assert.ok(tasks.length > 100, `${tasks.length} tasks`);
    assert.deepEqual(tasks.filter((duration) => duration > LONG), []);
  });

  test("are shown the worst first on a page that is not long, and each can be found", async () => {
    let seconds = 0;
    const { page, play } = await open({ text: () => text((seconds += 2)) });
    await play(10);

    assert.deepEqual((await rowsOf(page, "#rate_limit")).slice(0, 2).map(([name]) => name), ["edge / limit-1000", "edge / limit-999"]);
    assert.match(await page.locator("#rate_limit").innerText(), /993 more limits, some of which deny\./);
    assert.equal((await rowsOf(page, "#refusals"))[0][1], "edge / limit-1000");
    await page.getByRole("button", { name: "Show 32 more" }).first().click();
    await play(2);
    await page.locator("#rate_limit").getByText("All numbers").click();
    await play(2);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    assert.ok(height < 8_000, `the page is ${height} pixels high`);
    await screenshot(page, "thousand");

    await page.locator("#filter").fill("limit-123");
    await until(page, () => document.querySelectorAll("#rate_limit .table tbody tr").length > 0);
    assert.equal(await cell(page, "rate_limit", "edge / limit-123", "Admitted"), "42");
  });
});

describe("a selection", () => {
  // Limits whose order changes with each reading.
  const text = (seconds) => `${statistics(seconds, calm(seconds))}\n${["a", "b"].map((name, index) => [
    `# TYPE portcullis_rate_limit_denied counter`,
    `portcullis_rate_limit_denied{policy="edge",limit="turn-${name}",reason="rate_limited"} ${10 * seconds ** 2 * (1 + ((seconds / 2 + index) % 2))}`,
  ].join("\n")).join("\n")}`;

  test("outlives refreshes, and numbers go on beside it", async () => {
    let seconds = 0;
    const { page, play } = await open({ text: () => text((seconds += 2)) });
    await play(6);
    await page.evaluate(() => {
      const name = [...document.querySelectorAll("#rate_limit tbody th")].find(({ textContent }) => textContent === "edge / turn-a");
      getSelection().selectAllChildren(name);
    });
    const before = await rowsOf(page, "#rate_limit");

    await play(8);

    assert.equal(await page.evaluate(() => getSelection().toString()), "edge / turn-a");
    const after = await rowsOf(page, "#rate_limit");
    assert.deepEqual(after.map(([name]) => name), before.map(([name]) => name));
    assert.notDeepEqual(after, before);
  });

  for (const place of ["#notices .detail", "#signals .legend li", "#signals .value", "#circuit_breaker .states > div", "#refusals td"]) {
    test(`of ${place} outlives refreshes`, async () => {
      let seconds = 0;
      const { page, play } = await open({ text: () => statistics(seconds += 2, { breaker: 2 }) });
      await play(6);
      const selected = await page.evaluate((place) => {
        getSelection().selectAllChildren(document.querySelector(place));
        return getSelection().toString();
      }, place);
      assert.notEqual(selected, "");

      await play(8);

      assert.equal(await page.evaluate(() => getSelection().toString()), selected);
    });
  }

  test("that is about to be made is not moved away from below the pointer", async () => {
    let seconds = 0;
    const { page, play } = await open({ text: () => text((seconds += 2)) });
    await play(6);
    const names = async () => (await rowsOf(page, "#rate_limit")).map(([name]) => name);
    const before = await names();
    const changed = async () => {
      for (let step = 0; step < 2; step++) {
        await play(2);
        if ((await names()).join() !== before.join()) return true;
      }
      return false;
    };
    assert.ok(await changed());
    await play(2);

    await page.locator("#rate_limit tbody tr").first().scrollIntoViewIfNeeded();
    const { x, y } = await page.locator("#rate_limit tbody tr").first().boundingBox();
    await page.mouse.move(x + 5, y + 5);
    await page.mouse.down();
    const held = await names();
    await play(2);
    assert.deepEqual(await names(), held);
    await page.mouse.up();
  });
});
