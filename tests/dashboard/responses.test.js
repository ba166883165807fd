// Chromium's behaviour with the responses of security-headers: revalidated pages, frames, cookies and forms.
// `make test-dashboard` gives ENVOY_BIN and CHROMIUM_BIN.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";

import { startShop } from "./shop.js";

// Names that are neither local nor secure: browsers send no Sec-Fetch-Site to them.
const SHOP = "shop.test";
const OTHER = "other.test";

let shop;
let browser;
let context;

before(async () => {
  shop = await startShop(process.env.ENVOY_BIN, {
    cookies: {},
    cross_site: {},
    rules: [
      { name: "owasp", match: { path: { prefix: "/owasp/" } }, preset: "owasp" },
      { name: "features", match: { path: { exact: "/features" } }, permissions_policy: { camera: ["self"] } },
      // A site without TLS cannot upgrade its pages' requests.
      {
        name: "form",
        match: { path: { prefix: "/form" } },
        csp: { directives: { "default-src": ["'self'"], "frame-ancestors": ["'self'"] } },
      },
    ],
  });
  const args = ["--host-resolver-rules=MAP *.test 127.0.0.1"];
  // Chromium's own sandbox needs more than a container gives to root.
  if (process.getuid() === 0) args.push("--no-sandbox");
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN, args });
  context = await browser.newContext();
});

after(async () => {
  await browser?.close();
  await shop?.stop();
});

async function inPage(action) {
  const page = await context.newPage();
  try {
    return await action(page);
  } finally {
    await page.close();
  }
}

describe("a page that is revalidated", () => {
  // The page's title at each visit: its inline script changes it to "ran".
  async function titles(path) {
    const titles = [];
    for (let visit = 0; visit < 3; visit++) {
      titles.push(await inPage(async (page) => {
        await page.goto(shop.address(SHOP, path));
        return page.title();
      }));
    }
    assert.deepEqual(shop.statuses(path), [200, 304, 304]);
    return titles;
  }

  test("keeps a policy of its own that a 304 does not repeat", async () => {
    assert.deepEqual(await titles("/stored/own-policy"), ["ran", "ran", "ran"]);
  });

  test("keeps ours", async () => {
    assert.deepEqual(await titles("/stored/no-policy"), ["page", "page", "page"]);
  });

  test("stays stored where it said so itself", async () => {
    assert.deepEqual(await titles("/owasp/stored/own-policy"), ["ran", "ran", "ran"]);
  });
});

describe("a page in a frame", () => {
  // Whether a page of this site can frame it.
  function framed(host, path) {
    return inPage(async (page) => {
      await page.goto(shop.address(host, `/framing?${encodeURIComponent(shop.address(SHOP, path))}`));
      const frame = page.frames().find((frame) => frame !== page.mainFrame());
      await frame.waitForLoadState();
      return (await frame.title()) === "page";
    });
  }

  for (const [what, path, expected] of [
    ["x-frame-options: DENY", "/options?DENY", [false, false]],
    ["x-frame-options: SAMEORIGIN", "/options?SAMEORIGIN", [true, false]],
    ["contradictory x-frame-options", "/options?SAMEORIGIN&DENY", [false, false]],
    ["frame-ancestors 'none'", "/policy?frame-ancestors%20'none'", [false, false]],
    ["frame-ancestors *", "/policy?frame-ancestors%20*", [true, true]],
    ["nothing", "/options", [true, false]],
  ]) {
    test(`whose upstream says ${what}`, async () => {
      assert.deepEqual([await framed(SHOP, path), await framed(OTHER, path)], expected);
    });
  }
});

test("a feature that the upstream forbids under the former name stays forbidden", async () => {
  const allowed = (path) => inPage(async (page) => {
    await page.goto(shop.address(SHOP, path));
    return page.evaluate(() => ["camera", "midi"].map((name) => document.featurePolicy.allowsFeature(name)));
  });
  assert.deepEqual(await allowed("/features"), [true, true]);
  assert.deepEqual(await allowed("/features?camera%20'none'"), [false, true]);
});

test("cookies whose names demand attributes are stored", async () => {
  await inPage(async (page) => {
    // Chromium accepts Secure cookies from this host without TLS.
    await page.goto(shop.address("localhost", "/cookies"));
    await page.goto(shop.address("localhost", "/page"));
    const names = (shop.last("/page").headers.cookie ?? "").split("; ").map((cookie) => cookie.split("=")[0]);
    assert.deepEqual(names.sort(), ["__Host-Http-b", "__Host-c", "__Http-a", "__Secure-d", "none", "part"]);
  });
});

describe("a form over plain HTTP", () => {
  async function send(host) {
    return inPage(async (page) => {
      await page.goto(shop.address(host, `/form?${encodeURIComponent(shop.address(SHOP, "/form"))}`));
      const [response] = await Promise.all([page.waitForNavigation(), page.click("button")]);
      return [response.status(), response.request().headers()];
    });
  }

  test("passes from a page of the same origin", async () => {
    const [status] = await send(SHOP);
    assert.equal(status, 200);
    const { headers } = shop.last("/form", "POST");
    assert.equal(headers["sec-fetch-site"], undefined);
    assert.equal(headers.origin, shop.address(SHOP, ""));
  });

  test("is refused from another site's", async () => {
    const [status] = await send(OTHER);
    assert.equal(status, 403);
  });
});
