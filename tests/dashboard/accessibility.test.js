// The live page's accessibility: axe-core, widths from a phone's upwards, both colour schemes, the keyboard.
// `make test-dashboard` gives CHROMIUM_BIN.

import assert from "node:assert/strict";
import { test } from "node:test";

import axe from "axe-core";

import { simulatedPages } from "./simulated.js";
import { faintTexts, screenshot, untilState } from "./page.js";
import { calm, fleet } from "./statistics.js";

const { open } = simulatedPages();

// Long names, all kinds of notices and tables, or an Envoy at rest.
const STATES = {
  trouble: (seconds) => ({
    breaker: 2,
    counter: {
      ...fleet(seconds, seconds / 2).counter,
      'portcullis_rate_limit_admitted{policy="storefront-production",limit="per-tenant-and-operation"}': 5,
    },
    gauge: {
      ...fleet(seconds, seconds / 2).gauge,
      'portcullis_jwt_auth_jwks_keys{policy="edge",provider="corp"}': 0,
      'portcullis_jwt_auth_jwks_missing{policy="edge",provider="corp"}': 1,
      'portcullis_jwt_auth_revocation_age_seconds{policy="edge"}': 5_000,
    },
  }),
  rest: (seconds) => calm(seconds),
};

for (const [state, at] of Object.entries(STATES)) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 768, 1280]) {
      test(`${state}: is accessible ${width} pixels wide in ${colorScheme}`, async () => {
        const { page, play } = await open({ at, width, colorScheme });
        await play(20);
        await screenshot(page, `${state}-${colorScheme}-${width}`);
        await page.locator("#rate_limit summary").click();
        await play(2);

        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        assert.deepEqual(await faintTexts(page), []);
        assert.deepEqual(await violations(page), []);
      });
    }
  }
}

for (const colorScheme of ["light", "dark"]) {
  test(`old numbers are accessible in ${colorScheme}`, async () => {
    const { page, play } = await open({ at: STATES.trouble, colorScheme });
    await play(4);
    await page.unroute("**/stats/prometheus*");
    await page.route("**/stats/prometheus*", (route) => route.abort());
    for (let step = 0; step < 5; step++) await page.clock.runFor(2_000);
    await untilState(page, "stale");

    assert.deepEqual(await violations(page), []);
    await screenshot(page, `stale-${colorScheme}`);
  });
}

// axe-core's findings, including its best practices. It waits for timers.
async function violations(page) {
  await page.clock.resume();
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run());
  assert.ok(found.passes.length > 20);
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`));
}

test("a table that is wider than a phone shows on which side there is more, and its names stay in sight", async () => {
  const { page, play } = await open({ at: STATES.trouble, width: 360 });
  await play(4);
  const scroller = page.locator("#rate_limit .scroll").first();
  const caption = () => scroller.locator("caption").evaluate((element) => getComputedStyle(element, "::after").content);
  const shade = () => scroller.evaluate((element) => getComputedStyle(element).boxShadow);
  const left = () => scroller.locator("tbody th").first().evaluate((element) => element.getBoundingClientRect().left);

  assert.ok(await scroller.evaluate(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth), "the table is wider");
  assert.match(await caption(), /scroll for more/);
  const atStart = await shade();
  assert.match(atStart, /inset/);
  const before = await left();

  await scroller.evaluate((element) => element.scrollTo(9_999, 0));
  await page.waitForFunction(() => document.querySelector("#rate_limit .scroll").classList.contains("more-left"));

  assert.equal(await caption(), "none");
  assert.notEqual(await shade(), atStart);
  assert.ok(Math.abs((await left()) - before) < 2, "names stay in sight");
});

test("everything can be reached with the keyboard, and has a name", async () => {
  const { page, play } = await open({ at: STATES.trouble, width: 360 });
  await play(6);

  const reached = [];
  while (reached.length < 100 && reached.at(-1) !== "BODY") {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => {
      const { tagName, textContent, ariaLabel, labels } = document.activeElement;
      const name = ariaLabel ?? labels?.[0].textContent ?? textContent;
      return tagName === "BODY" ? tagName : `${tagName} ${name.trim()}`.slice(0, 25);
    }));
  }

  assert.deepEqual(reached.slice(0, 5).map((name) => name.replace(/\d+/g, "n")), [
    "A Skip to the policies",
    "A n critical, n warnings",
    "INPUT Filter by name",
    "INPUT Only rows that deny",
    "SELECT Counts last minute",
  ]);
  assert.ok(reached.includes("A Show jwt-auth"), reached.join());
  assert.ok(reached.some((name) => name.startsWith("SELECT Listener")), reached.join());
  assert.ok(reached.includes("DIV rate-limit: By limit"), reached.join());
  assert.equal(reached.filter((name) => name === "SUMMARY All numbers").length, 6);
  assert.equal(await page.locator("svg[role=img]:not([aria-label])").count(), 0);
});
