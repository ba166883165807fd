// Reads Prometheus's text format, as Envoy writes it.
//
// A sample: {key, name, labels, value, grows}. `key` tells series apart; `grows` is true for what only
// ever counts up (counters, and all series of a histogram).

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n" };

export function parse(text) {
  const samples = [];
  let family = "";
  let grows = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("# TYPE ")) {
      const [, , name, type] = line.split(" ");
      family = name;
      grows = type === "counter" || type === "histogram";
      continue;
    }
    const match = LINE.exec(line);
    if (!match) continue;
    const [, name, labels = "", value] = match;
    samples.push({
      key: `${name}{${labels}}`,
      name,
      labels: parseLabels(labels),
      value: Number(value.replace("Inf", "Infinity")),
      grows: grows && name.startsWith(family),
    });
  }
  return samples;
}

function parseLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, character) => ESCAPED[character] ?? character);
  }
  return labels;
}
