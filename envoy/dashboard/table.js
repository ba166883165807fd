// A table that shows only its first rows, the worst, and more on request. It scrolls sideways, also with the keyboard,
// and a shade at its edge shows that there is more.

import { html, keyedList, setText } from "./dom.js";
import { count } from "./format.js";
import { isChosen } from "./view.js";

// The number of rows at first, and after each "show more". Beyond the last, the filter is the better tool.
const STEPS = [8, 40, 200];

// Values without information.
const NOTHING = ["0", "–"];

// `label` is the accessible name, unique on the page; `noun` names the rows: "limits". `texts` is the number of leading
// columns that are text. A table without rows is hidden, unless `update` receives a sentence to show instead.
export function createTable({ caption, label = caption, headings, noun, texts = 1 }) {
  const head = html("tr", {}, ...headings.map((heading) => html("th", { scope: "col" }, heading)));
  const body = html("tbody");
  const scroller = html("div", { class: `scroll texts${texts}`, role: "group", "aria-label": label },
    html("table", {}, html("caption", {}, caption), html("thead", {}, head), body));
  const rest = html("p", { class: "rest quiet" });
  const more = html("button", { type: "button" });
  const fewer = html("button", { type: "button" }, "Show fewer");
  const nothing = html("p", { class: "quiet nothing" });
  const element = html("div", { class: "table" }, scroller, nothing, html("div", { class: "more" }, rest, more, fewer));
  const fill = keyedList(body, ({ cells }) => createRow(cells().length));
  let step = 0;
  showThatItScrolls(scroller);

  const ask = (next) => {
    step = next;
    element.dispatchEvent(new Event("refresh", { bubbles: true }));
  };
  more.addEventListener("click", () => ask(step + 1));
  fewer.addEventListener("click", () => ask(0));

  // Rows are {key, words, weight, denies, cells, isMarked}. `weight` sorts them, the greatest first; rows with the same
  // weight keep their order. `cells` returns the texts of a visible row; the first is its heading. `isMarked` selects
  // the cells to highlight.
  function update(rows, view, empty = "") {
    const chosen = rows.filter((row) => isChosen(row, view));
    chosen.sort((left, right) => compareWeights(right.weight, left.weight));
    const shown = chosen.slice(0, STEPS[step]);
    fill(shown, chosen);
    const left = chosen.length - shown.length;
    const hidden = rows.length - chosen.length;
    setText(rest, [
      left > 0 && `${count(left)} more ${noun}${ofWhich(chosen, shown.length)}.`,
      hidden > 0 && chosen.length > 0 && `${count(hidden)} filtered out.`,
    ].filter(Boolean).join(" "));
    const next = STEPS[step + 1];
    more.hidden = left === 0 || next === undefined;
    setText(more, `Show ${count(Math.min(left, next - shown.length))} more`);
    fewer.hidden = step === 0 || chosen.length <= STEPS[0];
    setText(nothing, rows.length === 0 ? empty : chosen.length === 0 ? `The filter matches none of ${count(rows.length)} ${noun}.` : "");
    nothing.hidden = nothing.textContent === "";
    scroller.hidden = chosen.length === 0;
    element.hidden = rows.length === 0 && empty === "";
  }
  return { element, update };
}

// Whether hidden rows deny, in a table where some rows deny and others do not.
function ofWhich(rows, shown) {
  if (rows.every(({ denies }) => denies !== false)) return "";
  return rows.slice(shown).some(({ denies }) => denies) ? ", some of which deny" : ", none of which denies";
}

// Weights are lists of numbers: the first difference decides.
function compareWeights(left, right) {
  const index = left.findIndex((value, place) => value !== right[place]);
  return index < 0 ? 0 : left[index] - right[index];
}

function createRow(size) {
  const cells = Array.from({ length: size }, (_, index) => index === 0 ? html("th", { scope: "row" }) : html("td"));
  const element = html("tr", {}, ...cells);
  return {
    element,
    update(row) {
      row.cells().forEach((text, index) => {
        setText(cells[index], text);
        cells[index].classList.toggle("marked", row.isMarked?.(index) === true);
        cells[index].classList.toggle("zero", NOTHING.includes(text));
      });
    },
  };
}

// Marks the sides on which something is hidden. Only then is the scroller in the tab order.
function showThatItScrolls(scroller) {
  const mark = () => {
    const { scrollLeft, clientWidth, scrollWidth } = scroller;
    const isWide = scrollWidth > clientWidth + 1;
    scroller.classList.toggle("more-left", isWide && scrollLeft > 1);
    scroller.classList.toggle("more-right", isWide && scrollLeft + clientWidth < scrollWidth - 1);
    if (isWide) scroller.tabIndex = 0;
    else scroller.removeAttribute("tabindex");
  };
  scroller.addEventListener("scroll", mark, { passive: true });
  const observer = new ResizeObserver(mark);
  observer.observe(scroller);
  observer.observe(scroller.firstElementChild);
}
