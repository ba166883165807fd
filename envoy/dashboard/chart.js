// Charts: lines over time, and states over time. Their legends show the current values, so that the drawing's
// information is also text. Lines also differ in their dashes, and states in height.

import { html, keyedList, setAttribute, setText, svg } from "./dom.js";
import { duration } from "./format.js";

const WIDTH = 600;
const HEIGHT = 120;
const BAND = 24;

// Lines, each {name, points}: points are {time, value} where null is a gap.
export function lineChart(title, format) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const top = html("span");
  const start = html("span");
  const legend = html("ul", { class: "legend" });
  const fillLegend = keyedList(legend, createEntry);
  const element = html("figure", { class: "plot" }, html("figcaption", {}, html("span", {}, title), top), drawing,
    html("div", { class: "axis", "aria-hidden": "true" }, start, html("span", {}, "now")), legend);

  function update(lines, span) {
    const highest = lines.reduce((most, { points }) => points.reduce((all, { value }) => Math.max(all, value ?? 0), most), 0);
    const limit = highest > 0 ? niceAbove(highest) : 1;
    const x = scale(span);
    const y = (value) => HEIGHT - (HEIGHT * value) / limit;
    drawing.replaceChildren(
      svg("path", { class: "rules", d: [0, 0.5, 1].map((part) => `M0 ${HEIGHT * part}H${WIDTH}`).join("") }),
      ...lines.map(({ points }, index) => svg("path", { class: `line line${index}`, d: path(points, x, y) })));
    setAttribute(drawing, "aria-label", `${title}, highest ${format(highest)}; current values follow`);
    setText(top, `up to ${format(limit)}`);
    setText(start, ago(span));
    fillLegend(lines.map(({ name, points }, index) => ({ key: `${index} ${name}`, name, index, value: format(points.at(-1)?.value) })));
  }
  return { element, update };
}

// States over time: rows are {name, points}; a value is an index of `states`, each {text, name}, the worst last.
export function stateChart(title, states) {
  const rows = html("div", { class: "states" });
  const start = html("span");
  const fill = keyedList(rows, () => createStates(states));
  const element = html("figure", {}, html("figcaption", {}, title), rows,
    html("div", { class: "axis", "aria-hidden": "true" }, start, html("span", {}, "now")));

  function update(lines, span) {
    fill(lines.map((line) => ({ key: line.name, ...line, span })));
    setText(start, ago(span));
  }
  return { element, update };
}

function createEntry({ name, index }) {
  const value = html("strong");
  const swatch = svg("svg", { viewBox: "0 0 24 8", class: "swatch", "aria-hidden": "true" },
    svg("path", { class: `line line${index}`, d: "M0 4H24" }));
  return {
    element: html("li", {}, swatch, html("span", {}, name), value),
    update: (item) => setText(value, item.value),
  };
}

function createStates(states) {
  const name = html("span");
  const now = html("strong");
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${BAND}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  return {
    element: html("div", {}, name, drawing, now),
    update(line) {
      const state = states[line.points.at(-1)?.value];
      setText(name, line.name);
      setText(now, state?.text ?? "unknown");
      setAttribute(now, "class", `is-${state?.name}`);
      const x = scale(line.span);
      drawing.replaceChildren(...bands(line.points).map(({ from, to, value }) => {
        const height = (BAND * (1 + value)) / states.length;
        return svg("rect", { class: `state-${states[value]?.name}`, x: x(from), y: BAND - height, width: x(to) - x(from) + 0.5, height });
      }));
    },
  };
}

// Times of the same value: {from, to, value}. A point's value holds since the point before it.
function bands(points) {
  const found = [];
  points.slice(1).forEach(({ time, value }, before) => {
    const last = found.at(-1);
    if (value === null) return;
    if (last?.value === value && last.to === points[before].time) last.to = time;
    else found.push({ from: points[before].time, to: time, value });
  });
  return found;
}

function scale({ from, to }) {
  return (time) => (WIDTH * (time - from)) / (to - from);
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

function ago({ from, to }) {
  return `${duration((to - from) / 1000)} ago`;
}
