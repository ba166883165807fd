// The live page of envoy/examples/live-page.yaml, as users who copy the example see it. `make test-dashboard`
// sets ENVOY_BIN and CHROMIUM_BIN.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { REPOSITORY, startEnvoys } from "./demo.js";
import { openPage, startBrowser, until, untilState } from "./page.js";

let envoys;
let browser;

before(async () => {
  envoys = await startEnvoys(process.env.ENVOY_BIN, ["examples/live-page.yaml"], ["9901"]);
  browser = await startBrowser(process.env.CHROMIUM_BIN);
});

after(async () => {
  await browser?.close();
  await envoys?.stop();
});

test("the page of an Envoy of one's own is live, and sees a failing service", async () => {
  const page = await openPage(browser, envoys.address(10005));
  await untilState(page, "live");

  for (let sent = 0; sent < 20; sent++) await envoys.send("/", {}, 8080);

  await until(page, () => /Requests fail with 5xx/.test(document.querySelector("#notices").textContent));
  assert.match(await page.locator("#notices").innerText(), /100 % on http in the last minute\. Known sources: 20 from the cluster service/);
  assert.equal(await page.locator("#rate_limit tbody th").first().textContent(), "service / per-client");
  assert.deepEqual(await page.locator("#listener option").allTextContents(), ["all", "http"]);
  assert.deepEqual(page.faults, []);
  await page.close();
});

test("the page's routes are its files, and its headers those of security-headers", async () => {
  for (const name of readdirSync(join(REPOSITORY, "envoy/dashboard")).filter((name) => name !== "routes.yaml")) {
    const response = await fetch(`${envoys.address(10005)}/${name === "index.html" ? "" : name}`);
    assert.equal(response.status, 200, name);
    assert.equal(await response.text(), readFileSync(join(REPOSITORY, "envoy/dashboard", name), "utf8"));
    assert.match(response.headers.get("content-security-policy"), /default-src 'none'/);
    const type = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" }[name.split(".")[1]];
    assert.equal(response.headers.get("content-type"), type);
  }
  assert.equal((await fetch(`${envoys.address(10005)}/routes.yaml`)).status, 404);
});
