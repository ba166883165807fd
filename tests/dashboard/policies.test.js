// The policies on the live page, with simulated statistics: numbers, reasons for refusals, filters, and the order of
// rows. `make test-dashboard` gives CHROMIUM_BIN.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { simulatedPages } from "./simulated.js";
import { cell, rowsOf, screenshot, until } from "./page.js";
import { calm } from "./statistics.js";

const { open } = simulatedPages();

test("each policy has its numbers, and a breaker is seen opening", async () => {
  const breaker = (seconds) => (seconds < 400 ? 0 : seconds < 410 ? 1 : 2);
  const { page, play } = await open({ at: (seconds) => ({ breaker: breaker(seconds) }) });

  await play(200);
  assert.match(await page.locator("#circuit_breaker .states").textContent(), /edge \/ payments\s*closed/);
  await play(220);

  assert.match(await page.locator("#circuit_breaker .states").textContent(), /edge \/ payments\s*open/);
  assert.equal(await cell(page, "circuit_breaker", "edge / payments", "Open keys"), "1");
  assert.equal(await cell(page, "circuit_breaker", "payments / payments-v2", "Time left"), "13 s");
  assert.equal(await cell(page, "rate_limit", "edge / per-client", "Denied"), "720");
  assert.equal(await cell(page, "retry_budget", "edge / orders", "Retries"), "180");
  assert.equal(await cell(page, "security_headers", "edge / api", "Responses"), "1,800");
  assert.deepEqual(await page.locator("#signals .level").allTextContents(), ["", "warning", "warning", "warning"]);
  assert.match(await page.locator("#rate_limit .troubles").textContent(), /were evicted/);
  await screenshot(page, "all-policies");
  assert.deepEqual(page.faults, []);
});

test("the last minute's refusals are shown by plugin, rule and reason, the most frequent first", async () => {
  const { page, play } = await open({
    at: () => ({
      breaker: 2,
      counter: { 'portcullis_security_headers_cross_site_refused{policy="edge",rule="api",reason="origin"}': 7 },
    }),
  });
  await play(120);

  assert.deepEqual(await rowsOf(page, "#refusals"), [
    ["rate-limit", "edge / per-client", "rate_limited", "720", "1,540"],
    ["circuit-breaker", "edge / payments", "circuit_open", "240", "580"],
    ["jwt-auth", "edge / default", "expired", "180", "460"],
    ["jwt-auth", "edge / default", "signature", "60", "220"],
    ["retry-budget, retries", "edge / orders", "budget_empty", "60", "220"],
  ]);

  await page.locator("#counts").selectOption("start");
  await until(page, () => document.querySelectorAll("#refusals tbody tr").length === 6);
  assert.deepEqual((await rowsOf(page, "#refusals")).at(-1), ["security-headers", "edge / api", "origin", "0", "7"]);
  assert.equal(await cell(page, "rate_limit", "edge / per-client", "Denied"), "1,540");
});

test("where nothing was refused, the page says so, and not before it knows", async () => {
  const text = () => '# TYPE a counter\nportcullis_rate_limit_denied{policy="p",limit="l",reason="rate_limited"} 0';
  const { page, play } = await open({ text });

  assert.equal(await page.locator("#refusals").innerText(), "Counting takes two readings.");
  assert.ok(await page.locator("#severity").isHidden());
  assert.ok(await page.getByText("Nothing needs attention.").isHidden());
  await play(4);

  assert.equal(await page.locator("#refusals").innerText(), "Nothing was refused in the last minute.");
  assert.equal(await page.locator("#severity").innerText(), "ok");
  assert.ok(await page.getByText("Nothing needs attention.").isVisible());
});

describe("what is shown can be chosen:", () => {
  const two = (seconds) => calm(seconds, {
    counter: {
      'portcullis_rate_limit_admitted{policy="edge",limit="uploads"}': 5 * seconds,
      'portcullis_rate_limit_denied{policy="edge",limit="uploads",reason="rate_limited"}': 0,
    },
  });

  test("by name, in all tables and charts, and a link shows the same", async () => {
    const { page, play } = await open({ at: two });
    await play(4);

    await page.locator("#filter").fill("Rate-Limit UP");

    await until(page, () => document.querySelectorAll("#rate_limit .table tbody tr").length === 1);
    assert.equal((await rowsOf(page, "#rate_limit"))[0][0], "edge / uploads");
    assert.match(await page.locator("#jwt_auth").innerText(), /The filter matches none of 1 rules\./);
    assert.ok(await page.locator("#circuit_breaker .states").isHidden());
    assert.match(await page.locator("#rate_limit").innerText(), /1 filtered out/);

    const { page: other, play: playOther } = await open({ at: two, path: `/${new URL(page.url()).search}` });
    await playOther(4);
    assert.deepEqual(await rowsOf(other, "#rate_limit"), await rowsOf(page, "#rate_limit"));
    assert.equal(await other.locator("#filter").inputValue(), "Rate-Limit UP");
  });

  test("only what denies", async () => {
    const { page, play } = await open({ at: two });
    await play(4);
    assert.deepEqual((await rowsOf(page, "#rate_limit")).map(([name]) => name), ["edge / per-client", "edge / uploads"]);

    await page.locator("#denies").check();

    await until(page, () => document.querySelectorAll("#rate_limit .table tbody tr").length === 1);
    assert.equal((await rowsOf(page, "#rate_limit"))[0][0], "edge / per-client");
    assert.match(page.url(), /\?denies=/);
  });

  test("all numbers of a policy", async () => {
    const { page, play } = await open({});
    await play(6);

    await page.locator("#rate_limit summary").click();

    await until(page, () => document.querySelectorAll("#rate_limit details tbody tr").length === 3);
    assert.match(await page.locator("#rate_limit details tbody tr").filter({ hasText: "denied" }).textContent(), /reason="rate_limited"/);
  });
});

describe("of many,", () => {
  // Breakers and budgets a to z; the last ones are in trouble.
  const names = Array.from({ length: 26 }, (_, index) => String.fromCharCode(97 + index));
  const many = (seconds) => {
    const gauge = {};
    for (const [index, name] of names.entries()) {
      gauge[`portcullis_circuit_breaker_state{policy="edge",breaker="${name}"}`] = index < 24 ? 0 : index - 23;
      gauge[`portcullis_circuit_breaker_open_keys{policy="edge",breaker="${name}"}`] = index === 25 ? 3 : 0;
      gauge[`portcullis_retry_budget_balance{policy="edge",budget="${name}"}`] = 50 - index;
    }
    return calm(seconds, { gauge });
  };

  test("the worst breakers and budgets come first, and the page says how many are left out", async () => {
    const { page, play } = await open({ at: many });
    await play(20);

    const states = await page.locator("#circuit_breaker .states > div").evaluateAll((rows) =>
      rows.map((row) => [row.querySelector("span").textContent, row.querySelector("strong").textContent]));
    assert.deepEqual(states.slice(0, 3), [["edge / z", "open"], ["edge / y", "half-open"], ["edge / a", "closed"]]);
    assert.match(await page.locator("#circuit_breaker").innerText(), /21 more breakers: 21 closed\./);
    assert.deepEqual((await rowsOf(page, "#circuit_breaker"))[0].slice(0, 2), ["edge / z", "3"]);
    assert.match(await page.locator("#circuit_breaker .table").first().innerText(), /19 more breakers, none of which denies\./);

    // The budget of statistics.js has 20.
    const budgets = await page.locator("#retry_budget .legend li span").allTextContents();
    assert.deepEqual(budgets, ["edge / orders", "edge / z", "edge / y", "edge / x", "edge / w", "edge / v"]);
    assert.match(await page.locator("#retry_budget").innerText(), /21 more budgets: each has 30 or more\./);
  });

  test("more rows are shown when they are asked for, and fewer again", async () => {
    const { page, play } = await open({ at: many });
    await play(4);
    const table = page.locator("#circuit_breaker .table").first();
    assert.equal(await table.locator("tbody tr").count(), 8);

    await table.getByText("Show 19 more").click();
    await table.locator("tbody tr").nth(26).waitFor();
    assert.ok(await table.getByText("Show 19 more").isHidden());

    await table.getByText("Show fewer").click();
    await table.locator("tbody tr").nth(8).waitFor({ state: "detached" });
    assert.equal(await table.locator("tbody tr").count(), 8);
  });
});
