// Takes docs/dashboard.png: the live page of a running `make demo`, while the tour repeats.
//
//     CHROMIUM_BIN="$(command -v chromium)" node tests/dashboard/picture.js

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { REPOSITORY } from "./demo.js";
import { openPage, startBrowser, untilState } from "./page.js";

const SECONDS = 100;
// Tall enough for the golden signals and the first panels.
const SIZE = { width: 1280, height: 1100 };

const browser = await startBrowser(process.env.CHROMIUM_BIN);
const page = await openPage(browser, "http://127.0.0.1:10005");
await page.setViewportSize(SIZE);
await untilState(page, "live");
for (const end = Date.now() + 1_000 * SECONDS; Date.now() < end;) {
  const tour = spawn(join(REPOSITORY, "envoy/tour"), { stdio: "ignore" });
  await once(tour, "exit");
}
await untilState(page, "live");
await page.screenshot({ path: join(REPOSITORY, "docs/dashboard.png") });
await browser.close();
