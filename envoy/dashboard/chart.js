// Charts: lines over time, and states over time. Their legends hold the present values, so that nothing
// is to be had from the drawing alone; lines differ in dashes too, and states in height.

import { html, setText, svg } from "./dom.js";
import { duration } from "./format.js";

const WIDTH = 600;
const HEIGHT = 120;

// Lines, each a list of {time, value} where null is a gap.
export function lineChart(title, format) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const top = html("span");
  const legend = html("ul", { class: "legend" });
  const start = html("span");
  const element = html("figure", { class: "plot" }, html("figcaption", {}, html("span", {}, title), top), drawing,
    html("div", { class: "axis", "aria-hidden": "true" }, start, html("span", {}, "now")), legend);

  function update(lines, { from, to }) {
    const values = lines.flatMap(({ points }) => points.map(({ value }) => value ?? 0));
    const highest = Math.max(0, ...values);
    const limit = highest > 0 ? niceAbove(highest) : 1;
    const x = (time) => (WIDTH * (time - from)) / (to - from);
    const y = (value) => HEIGHT - (HEIGHT * value) / limit;
    drawing.replaceChildren(
      svg("path", { class: "rules", d: [0, 0.5, 1].map((part) => `M0 ${HEIGHT * part}H${WIDTH}`).join("") }),
      ...lines.map(({ points }, index) => svg("path", { class: `line line${index}`, d: path(points, x, y) })));
    drawing.setAttribute("aria-label", `${title}, highest ${format(highest)}; present values follow`);
    setText(top, `up to ${format(limit)}`);
    setText(start, ago(from, to));
    fillLegend(legend, lines.map(({ name, points }, index) => [name, format(points.at(-1)?.value), `line${index}`]));
  }
  return { element, update };
}

// What something was, over time: for each name a list of {time, value}, value being an index of `states`,
// each {text, name}, the worst last.
export function stateChart(title, states) {
  const rows = html("div", { class: "states" });
  const start = html("span");
  const element = html("figure", {}, html("figcaption", {}, title), rows,
    html("div", { class: "axis", "aria-hidden": "true" }, start, html("span", {}, "now")));

  function update(lines, { from, to }) {
    const x = (time) => (WIDTH * (time - from)) / (to - from);
    rows.replaceChildren(...lines.map(({ name, points }) => {
      const now = states[points.at(-1)?.value]?.text ?? "unknown";
      const bands = points.slice(1).map(({ time, value }, before) => {
        const begin = x(points[before].time);
        const height = (24 * (1 + (value ?? 0))) / states.length;
        const box = { x: begin, y: 24 - height, width: x(time) - begin + 0.5, height };
        return value === null ? "" : svg("rect", { class: `state-${states[value]?.name}`, ...box });
      });
      const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} 24`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...bands);
      return html("div", {}, html("span", {}, name), drawing, html("strong", {}, now));
    }));
    setText(start, ago(from, to));
  }
  return { element, update };
}

// A path through the points; a gap starts a new piece.
function path(points, x, y) {
  let pen = "M";
  return points.map(({ time, value }) => {
    const step = value === null || value === undefined ? "" : `${pen}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = step === "" ? "M" : "L";
    return step;
  }).join("");
}

// The next 1, 2 or 5 times a power of ten.
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999);
}

function ago(from, to) {
  return `${duration((to - from) / 1000)} ago`;
}

function fillLegend(legend, entries) {
  legend.replaceChildren(...entries.map(([name, value, style]) =>
    html("li", {},
      svg("svg", { viewBox: "0 0 24 8", class: "swatch", "aria-hidden": "true" }, svg("path", { class: `line ${style}`, d: "M0 4H24" })),
      html("span", {}, name), html("strong", {}, value))));
}
