// Pages that read simulated statistics, on a clock that moves only with `play`.

import { after, afterEach, before } from "node:test";

import { serveFiles } from "./files.js";
import { openPage, startBrowser, until, untilState } from "./page.js";
import { statistics, statusView } from "./statistics.js";

// Registers the hooks that start and stop the browser. Returns {open, blank}: `blank` is an empty page that can import
// the live page's modules.
export function simulatedPages() {
  let files;
  let browser;
  let pages = [];
  before(async () => {
    files = await serveFiles();
    browser = await startBrowser(process.env.CHROMIUM_BIN);
  });
  afterEach(async () => {
    for (const page of pages) await page.close();
    pages = [];
  });
  after(async () => {
    await browser?.close();
    files?.stop();
  });

  // `at` returns the statistics after a number of seconds, as parameters of `statistics` in statistics.js. Returns
  // {page, play}.
  let blankPage;
  async function blank() {
    if (!blankPage) {
      blankPage = await browser.newPage();
      await blankPage.goto(`${files.address}/icon.svg`);
    }
    return blankPage;
  }

  async function open({ at = () => ({}), text, path = "", clock = true, ...options }) {
    let seconds = 0;
    const page = await openPage(browser, files.address, {
      ...options,
      path,
      clock,
      statistics: text ?? (() => statistics(seconds, at(seconds))),
      statusView: () => statusView(at(seconds).breaker ?? 0),
    });
    pages.push(page);
    await untilState(page, "live");
    const play = async (more) => {
      for (const end = seconds + more; seconds < end;) {
        seconds += 2;
        await page.clock.runFor(2_000);
        await until(page, () => / 0 s /.test(document.querySelector("#age").textContent));
      }
    };
    return { page, play };
  }
  return { open, blank };
}

// The notices, {severity, title, detail}, that the page's own modules derive from statistics read every two seconds. This
// takes a hundredth of the time of a page that plays them.
export function noticesAfter(page, seconds, at) {
  const texts = [];
  for (let second = 0; second <= seconds; second += 2) texts.push(statistics(second, at(second)));
  return page.evaluate(async (texts) => {
    const [{ Exposition }, { History }, { createNotices }, { createRefusals }] =
      await Promise.all(["exposition", "history", "notices", "refusals"].map((name) => import(`/${name}.js`)));
    const exposition = new Exposition();
    const history = new History({ span: 600_000, gap: 10_000 });
    const refusals = createRefusals(history);
    const notices = createNotices(history);
    let found;
    for (const [index, text] of texts.entries()) {
      history.add(2_000 * index, [...exposition.samples(text)]);
      found = notices({ state: "live", failure: "", age: 0 }, refusals());
    }
    return found;
  }, texts);
}

// The notices as they are shown: "critical: Requests fail with 5xx".
export function noticesOf(page) {
  return page.locator("#notices li").evaluateAll((items) =>
    items.map((item) => `${item.querySelector(".pill").textContent}: ${item.querySelector("strong").textContent.replace(/\.$/, "")}`));
}
