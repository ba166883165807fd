// A browser, pages that record errors, and queries for tests.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { REPOSITORY } from "./demo.js";

const SCREENSHOTS = join(REPOSITORY, "target/dashboard");

export function startBrowser(executablePath) {
  // Chromium's own sandbox needs more than a container gives to root.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args });
}

// Opens the live page. `faults` collects errors on the console and requests to other origins. `statistics` and
// `statusView`, if given, replace Envoy's; the page's clock then stands still, unless `clock` is false.
export async function openPage(browser, address, options = {}) {
  const { path = "/", width = 1280, colorScheme = "light", statistics, statusView, clock = true } = options;
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== address) page.faults.push(`a request to ${request.url()}`);
  });
  if (statistics) {
    if (clock) {
      await page.clock.install({ time: 0 });
      await page.clock.pauseAt(1_000);
    }
    await page.route("**/stats/prometheus*", (route) => route.fulfill({ contentType: "text/plain", body: statistics() }));
    await page.route("**/portcullis/breakers", (route) => route.fulfill({ contentType: "application/json", body: statusView() }));
  }
  await page.goto(address + path);
  return page;
}

// Waits until a function in the page returns true. It receives `argument`.
export function until(page, isTrue, argument) {
  return page.waitForFunction(isTrue, argument, { timeout: 30_000 });
}

export function untilState(page, state) {
  return until(page, (expected) => document.body.dataset.state === expected, state);
}

// The text of a cell in a panel, by the names of its row and column.
export async function cell(page, panel, row, column) {
  for (const table of await page.locator(`#${panel} table`).filter({ hasText: row }).all()) {
    const place = (await table.locator("thead th").allTextContents()).indexOf(column);
    if (place < 0) continue;
    const cells = table.locator("tbody tr").filter({ hasText: row }).locator("th, td");
    return (await cells.nth(place).textContent()).trim();
  }
  throw new Error(`no table of ${panel} has the row ${row} and the column ${column}`);
}

// The texts of all cells of the first table in an element, row by row.
export function rowsOf(page, selector) {
  return page.locator(`${selector} table`).first().locator("tbody tr").evaluateAll((rows) =>
    rows.map((row) => [...row.children].map(({ textContent }) => textContent)));
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

// Texts whose contrast with their background is less than WCAG's 4.5 to 1.
export function faintTexts(page) {
  return page.evaluate(() => {
    const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (color) => {
      const [red, green, blue] = channels(color).map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor;
        if (channels(color)[3] !== 0) return color;
      }
      return "rgb(255, 255, 255)";
    };
    const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    return [...document.body.querySelectorAll("*")]
      .filter((element) => element.checkVisibility() && hasText(element))
      .filter((element) => {
        const lights = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
        return (lights[0] + 0.05) / (lights[1] + 0.05) < 4.5;
      })
      .map((element) => `${element.tagName} ${element.textContent.slice(0, 40)}`);
  });
}
