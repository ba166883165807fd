// The notices of the live page: there is one for every alert, the worst come first, and the title and the icon show the
// severity. `make test-dashboard` gives CHROMIUM_BIN.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { REPOSITORY } from "./demo.js";
import { simulatedPages, noticesAfter, noticesOf } from "./simulated.js";
import { screenshot, until } from "./page.js";
import { calm, fleet } from "./statistics.js";

const { open, blank } = simulatedPages();

const SHOP = 'envoy_http_conn_manager_prefix="shop"';
const CORP = 'policy="edge",provider="corp"';
const PAYMENTS = 'policy="edge",breaker="payments"';
const ORDERS = 'policy="edge",budget="orders"';
const LIMIT = 'policy="edge",limit="per-client"';
const gauge = (series, value) => () => ({ gauge: { [series]: value } });
const counter = (series, perSecond) => (seconds) => ({ counter: { [series]: Math.round(5 + perSecond * seconds) } });

// For each alert, statistics for which it fires, and the expected notices, each with a part of its text.
const ALERTS = {
  HighErrorRate: [
    [
      (seconds) => ({
        counter: {
          [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${SHOP}}`]: 100,
          [`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${SHOP}}`]: 100 + 104 * seconds,
          'envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="payments-v2"}': 60 * seconds,
          [`portcullis_circuit_breaker_rejected{${PAYMENTS},reason="circuit_open"}`]: 44 * seconds,
        },
      }),
      "critical: Requests fail with 5xx",
      /86\.7 % on shop.*3,600 from the cluster payments-v2, 2,640 by circuit-breaker \(edge \/ payments, circuit_open\)/,
    ],
    [counter(`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${SHOP}}`, 3), "warning: Requests fail with 5xx", /Neither an upstream nor a plugin sent them/],
  ],
  ErrorBudgetBurn: [
    [counter(`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${SHOP}}`, 3), "warning: Requests fail with 5xx", /on shop/],
  ],
  HighUnansweredRate: [
    [
      (seconds) => ({ counter: { [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${SHOP}}`]: 100 + 60 * seconds } }),
      "warning: Requests end without a response",
      /36\.7 % on shop/,
    ],
    [
      (seconds) => ({ counter: { [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${SHOP}}`]: 100 + 20 * seconds } }),
      "critical: Requests end without a response",
      /70 % on shop/,
    ],
  ],
  HighLatency: [
    [() => ({ slow: 6 }), "warning: Responses are slow", /820 ms on shop/],
    [() => ({ slow: 60, slower: 60 }), "critical: Responses are slow", /1 s on shop|9\.\d+ s on shop/],
  ],
  HighSaturation: [
    [gauge("envoy_overload_envoy_resource_monitors_cpu_utilization_pressure{}", 77), "warning: Envoy is nearly full", /cpu utilization: 77 %/],
    [gauge("envoy_overload_envoy_resource_monitors_fixed_heap_pressure{}", 91), "critical: Envoy is nearly full", /fixed heap: 91 %/],
  ],
  CircuitBreakerOpen: [
    [() => ({ breaker: 2 }), "warning: 1 circuit is open", /edge \/ payments \(open\)/],
    // An upstream that never answers.
    [() => ({ breaker: 1 }), "warning: 1 circuit is open", /edge \/ payments \(half-open\)/],
  ],
  CircuitBreakerFlapping: [
    [(seconds) => ({ counter: { [`portcullis_circuit_breaker_opened{${PAYMENTS},reason="rate"}`]: Number(seconds > 30) } }), "warning: Circuits were open in the last minute", /payments \(closed\)/],
    [counter(`portcullis_circuit_breaker_opened{${PAYMENTS},reason="rate"}`, 0.1), "warning: Circuits open again and again", /payments \(closed, opened 6 times/],
  ],
  RetryBudgetEmpty: [
    [counter(`portcullis_retry_budget_denied{${ORDERS},reason="budget_empty"}`, 0.5), "warning: Retry budgets deny retries", /edge \/ orders \(30 in the last minute\)/],
  ],
  RateLimitServiceOut: [
    [(seconds) => fleet(seconds, 10), "warning: A rate-limit service does not answer", /edge \/ main/],
    [gauge('portcullis_rate_limit_service_out{policy="edge",service="main"}', 1), "warning: A rate-limit service does not answer", /edge \/ main/],
  ],
  RetryBudgetBreakerMissing: [
    [gauge(`portcullis_retry_budget_breaker_missing{${ORDERS}}`, 1), "warning: A retry budget does not find its breaker", /edge \/ orders/],
  ],
  JwksMissing: [
    [gauge(`portcullis_jwt_auth_jwks_missing{${CORP}}`, 1), "critical: Keys are missing", /edge \/ corp/],
  ],
  JwksStale: [
    [gauge(`portcullis_jwt_auth_jwks_age_seconds{${CORP}}`, 7_300), "warning: Keys are old", /edge \/ corp, 2 h/],
    [gauge(`portcullis_jwt_auth_jwks_age_seconds{${CORP}}`, 22 * 3_600), "critical: Keys are old", /edge \/ corp, 22 h/],
  ],
  RevocationListStale: [
    [gauge('portcullis_jwt_auth_revocation_age_seconds{policy="edge"}', 1_000), "warning: The revocation list is old", /edge, 17 min/],
    [gauge('portcullis_jwt_auth_revocation_missing{policy="edge"}', 1), "warning: The revocation list has never been fetched", /policy edge/],
  ],
  TableEvictions: [
    [counter(`portcullis_rate_limit_evictions{${LIMIT}}`, 0.1), "warning: Tables are full", /rate-limit edge \/ per-client \(6\)/],
    [counter(`portcullis_rate_limit_fleet_evictions{${LIMIT}}`, 0.1), "warning: Tables are full", /rate-limit, leases of edge \/ per-client \(6\)/],
    [counter(`portcullis_circuit_breaker_evictions{${PAYMENTS}}`, 0.1), "warning: Tables are full", /circuit-breaker edge \/ payments/],
    [counter(`portcullis_retry_budget_evictions{${ORDERS}}`, 0.1), "warning: Tables are full", /retry-budget edge \/ orders/],
  ],
  PolicyErrors: [
    `portcullis_rate_limit_errors{${LIMIT}}`,
    `portcullis_circuit_breaker_errors{${PAYMENTS}}`,
    `portcullis_retry_budget_errors{${ORDERS}}`,
    'portcullis_security_headers_errors{policy="edge"}',
    'portcullis_jwt_auth_decisions{policy="edge",rule="default",outcome="admitted",reason="error"}',
  ].map((series) => [
    counter(series, 0.1),
    "warning: Plugins left requests to on_error",
    new RegExp(`${series.match(/portcullis_(\w+?)_(errors|decisions)/)[1].replace("_", "-")} \\(6\\)`),
  ]),
  WasmVmReload: [
    [counter('envoy_wasm_vm_reload_success{wasm_plugin="rate_limit"}', 0.1), "warning: A plugin crashed and was reloaded", /11 VMs were reloaded since Envoy started, 6 of them/],
    // Before the page was opened.
    [counterAt('envoy_wasm_vm_reload_success{wasm_plugin="rate_limit"}', 7), "warning: A plugin crashed and was reloaded", /7 VMs were reloaded since Envoy started, 0 of them/],
    [counter('envoy_wasm_vm_reload_failure{wasm_plugin="rate_limit"}', 0.1), "critical: A plugin crashed and does not start", /6 attempts failed/],
  ],
  EnvoyRestarts: [
    [(seconds) => ({ gauge: { "envoy_server_uptime{}": 90 + (seconds % 30) } }), "warning: Envoy restarted", /2 times in the last ten minutes/],
  ],
};

// Notices without an alert.
const OTHERS = {
  "tokens that cannot be checked": [
    counter('portcullis_jwt_auth_decisions{policy="edge",rule="default",outcome="refused",reason="keys_unavailable"}', 2),
    "critical: Tokens cannot be checked",
    /edge \/ default \(keys_unavailable, 120\)/,
  ],
  "tables that cannot be read": [
    counter(`portcullis_rate_limit_malformed{${LIMIT}}`, 0.1),
    "warning: Shared state cannot be read",
    /rate-limit edge \/ per-client \(6\)/,
  ],
  draining: [gauge("envoy_server_live{}", 0), "warning: Envoy is draining", /no new connections/],
  "an Envoy that just started": [(seconds) => ({ gauge: { "envoy_server_uptime{}": seconds / 2 } }), "note: Envoy started less than a minute ago", /started empty/],
};

function counterAt(series, value) {
  return () => ({ counter: { [series]: value } });
}

// Statistics at rest, with one exception. `slow` of 120 requests per second take up to a second, `slower` longer.
function at(trouble) {
  return (seconds) => {
    const { slow = 0, slower = 0, ...wrong } = trouble(seconds);
    const statistics = calm(seconds, wrong);
    const bucket = (le) => `envoy_http_downstream_rq_time_bucket{${SHOP},le="${le}"}`;
    if (slow > 0) statistics.histogram = { [bucket("100")]: 100 + (120 - slow) * seconds, [bucket("1000")]: 100 + (120 - slower) * seconds, [bucket("10000")]: 100 + 120 * seconds };
    return statistics;
  };
}

test("an Envoy at rest needs no attention", async () => {
  const { page, play } = await open({ at: (seconds) => calm(seconds) });
  await play(60);

  assert.deepEqual(await noticesOf(page), []);
  assert.ok(await page.getByText("Nothing needs attention.").isVisible());
  assert.equal(await page.title(), "Portcullis");
  assert.equal(await page.locator("link[rel=icon]").getAttribute("href"), "icon.svg");
  await screenshot(page, "rest");
});

describe("what has no alert has its notice, too:", () => {
  for (const [what, [trouble, notice, detail]] of Object.entries(OTHERS)) {
    test(what, async () => {
      const found = await noticesAfter(await blank(), 60, at(trouble));

      assert.deepEqual(found.map(({ severity, title }) => `${severity}: ${title}`), [notice]);
      assert.match(found[0].detail, detail);
    });
  }
});

describe("each alert has its notice:", () => {
  for (const [alert, cases] of Object.entries(ALERTS)) {
    for (const [trouble, notice, detail] of cases) {
      test(`${alert}, ${notice} ${detail}`, async () => {
        const found = await noticesAfter(await blank(), 60, at(trouble));

        assert.deepEqual(found.map(({ severity, title }) => `${severity}: ${title}`), [notice]);
        assert.match(found[0].detail, detail);
      });
    }
  }

  test("none is left out", async () => {
    const files = ["alerts.yaml", "objective.yaml"].map((file) => join(REPOSITORY, "envoy/prometheus", file));
    const text = files.map((file) => readFileSync(file, "utf8")).join();
    const alerts = new Set([...text.matchAll(/- alert: (\w+)/g)].map(([, name]) => name));
    assert.ok(alerts.size > 10);
    const named = await (await blank()).evaluate(async () => (await import("/notices.js")).KINDS.flatMap((kind) => kind.alerts));
    assert.deepEqual([...alerts].filter((name) => !named.includes(name)), []);
    // EnvoyDown has a test of its own below.
    assert.deepEqual(named.filter((name) => !(name in ALERTS) && name !== "EnvoyDown"), []);
  });
});

describe("an outage", () => {
  // An open circuit, an empty budget, and all other troubles at once.
  const outage = (seconds) => calm(seconds, {
    breaker: 2,
    counter: {
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="2",${SHOP}}`]: 100 + 44 * seconds,
      [`envoy_http_downstream_rq_xx{envoy_response_code_class="5",${SHOP}}`]: 100 + 60 * seconds,
      'envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="payments-v2"}': 20 * seconds,
      [`portcullis_circuit_breaker_rejected{${PAYMENTS},reason="circuit_open"}`]: 30 * seconds,
      'portcullis_jwt_auth_decisions{policy="edge",rule="default",outcome="refused",reason="keys_unavailable"}': 10 * seconds,
      [`portcullis_retry_budget_denied{${ORDERS},reason="budget_empty"}`]: 5 * seconds,
      [`portcullis_rate_limit_errors{${LIMIT}}`]: seconds,
      'envoy_wasm_vm_reload_success{wasm_plugin="rate_limit"}': 7,
    },
    gauge: {
      [`portcullis_jwt_auth_jwks_keys{${CORP}}`]: 0,
      [`portcullis_jwt_auth_jwks_missing{${CORP}}`]: 1,
      [`portcullis_jwt_auth_jwks_age_seconds{${CORP}}`]: 22 * 3_600,
      'portcullis_jwt_auth_revocation_age_seconds{policy="edge"}': 5_000,
      [`portcullis_retry_budget_balance{${ORDERS}}`]: 0,
    },
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`is told the worst first, in the title, the icon and the header too (${colorScheme})`, async () => {
      const { page, play } = await open({ at: outage, colorScheme });
      await play(120);

      assert.deepEqual(await noticesOf(page), [
        "critical: Requests fail with 5xx",
        "critical: Keys are missing",
        "critical: Tokens cannot be checked",
        "critical: Keys are old",
        "warning: The revocation list is old",
        "warning: 1 circuit is open",
        "warning: Retry budgets deny retries",
        "warning: Plugins left requests to on_error",
        "warning: A plugin crashed and was reloaded",
      ]);
      assert.equal(await page.title(), "✗ 4 critical, 5 warnings – Portcullis");
      assert.equal(await page.locator("link[rel=icon]").getAttribute("href"), "icon-critical.svg");
      assert.equal(await page.locator("#severity").textContent(), "4 critical, 5 warnings");
      await screenshot(page, `outage-${colorScheme}`);

      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      const { y } = await page.locator("#severity").boundingBox();
      assert.ok(y >= 0 && y < 60, `the severity is at ${y}`);
    });
  }

  test("is read out once, without its numbers", async () => {
    const { page, play } = await open({ at: outage });
    await play(4);
    const announced = await page.locator("#announcement").textContent();
    await page.evaluate(() => {
      window.changes = 0;
      new MutationObserver(() => { window.changes += 1; }).observe(document.querySelector("#announcement"), { childList: true, characterData: true, subtree: true });
    });
    await play(30);

    assert.match(announced, /^critical: Requests fail with 5xx\. /);
    assert.equal(await page.evaluate(() => window.changes), 0);
    assert.equal(await page.locator("[aria-live]").count(), 0);
  });

  test("each notice leads to the place that shows more", async () => {
    const { page, play } = await open({ at: outage });
    await play(10);

    for (const link of await page.locator("#notices a:visible").all()) {
      await link.click();
      const target = page.locator((await link.getAttribute("href")));
      assert.ok(await target.isVisible());
      const header = await page.locator("header").boundingBox();
      assert.ok((await target.boundingBox()).y >= header.height - 1, `${await link.textContent()} is below the header`);
    }
    assert.equal(await page.locator("#circuit_breaker h3 .pill").textContent(), "warning");
    assert.equal(await page.locator("#jwt_auth h3 .pill").textContent(), "critical");
    assert.ok(await page.locator("#security_headers h3 .pill").isHidden());
  });
});

test("reloads before the page was opened become a note after ten minutes", async () => {
  const reloaded = at(counterAt('envoy_wasm_vm_reload_success{wasm_plugin="rate_limit"}', 7));
  const severities = async (seconds) => (await noticesAfter(await blank(), seconds, reloaded)).map(({ severity }) => severity);

  assert.deepEqual(await severities(590), ["warning"]);
  assert.deepEqual(await severities(600), ["note"]);
});

test("an Envoy that no longer answers is critical", async () => {
  const { page, play } = await open({ at: (seconds) => calm(seconds) });
  await play(4);
  await page.unroute("**/stats/prometheus*");
  await page.route("**/stats/prometheus*", (route) => route.abort());

  for (let step = 0; step < 5; step++) await page.clock.runFor(2_000);

  await until(page, () => document.title === "✗ 1 critical – Portcullis");
  assert.deepEqual(await noticesOf(page), ["critical: Envoy cannot be read"]);
  // Time is simulated, so a reading may end by its timeout before the browser reports that it failed.
  const reason = /(Failed to fetch|No response in time)\. The numbers below are \d+ s old\./;
  assert.match(await page.locator("#notices").textContent(), reason);
});
