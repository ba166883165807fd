// A tile for each golden signal.

import { lineChart } from "./chart.js";
import { html, pill, setText } from "./dom.js";
import { milliseconds, percent, perSecond } from "./format.js";
import { errors, latency, saturation, traffic } from "./golden.js";

export function createSignals(parent) {
  const tiles = [
    tile("Traffic", "Requests", perSecond, traffic),
    tile("Errors", "Responses with 5xx and 4xx", percent, errors),
    tile("Latency", "Response time", milliseconds, latency),
    tile("Saturation", "Utilization", percent, saturation),
  ];
  parent.append(...tiles.map(({ element }) => element));
  return function update(history, listener, span) {
    for (const each of tiles) each.update(history, listener, span);
  };
}

function tile(title, subtitle, format, read) {
  const value = html("strong", { class: "value" });
  const level = pill("level");
  const note = html("p", { class: "quiet" });
  const chart = lineChart(subtitle, format);
  const element = html("article", { class: "card" },
    html("h3", {}, title), html("p", { class: "reading" }, value, level.element), note, chart.element);

  function update(history, listener, span) {
    const reading = read(history, listener);
    setText(value, format(reading.value));
    setText(note, reading.note);
    level.update(reading.level ?? "");
    chart.update(reading.lines, span);
  }
  return { element, update };
}
