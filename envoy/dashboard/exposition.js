// Reads Prometheus's text format, as Envoy writes it.
//
// A sample is {series, value}. A series is {index, name, labels, text, grows}: `index` numbers series in order of
// appearance, `text` is the name with its labels, and `grows` is true for counters, and for all series of a histogram.
// Each series is parsed once and then recognized by its text, so that a reading of 20,000 lines costs a few
// milliseconds.

const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n" };
const TYPE = "# TYPE ";

export class Exposition {
  #known = new Map(); // text -> series

  // Yields the samples of a text, so that the caller can pause between them.
  *samples(text) {
    let family = "";
    let grows = false;
    for (let start = 0, end; start < text.length; start = end + 1) {
      end = text.indexOf("\n", start);
      if (end < 0) end = text.length;
      if (text.startsWith(TYPE, start)) {
        const [name, type] = text.slice(start + TYPE.length, end).split(" ");
        family = name;
        grows = type === "counter" || type === "histogram";
        continue;
      }
      const blank = text.lastIndexOf(" ", end - 1);
      if (blank <= start || text[start] === "#") continue;
      const key = text.slice(start, blank);
      let series = this.#known.get(key);
      if (series === undefined) {
        series = { index: this.#known.size, ...parse(key), text: key };
        series.grows = grows && series.name.startsWith(family);
        this.#known.set(key, series);
      }
      yield { series, value: Number(text.slice(blank + 1, end).replace("Inf", "Infinity")) };
    }
  }
}

function parse(text) {
  const brace = text.indexOf("{");
  if (brace < 0) return { name: text, labels: {} };
  const labels = {};
  for (const [, name, value] of text.slice(brace).matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, character) => ESCAPED[character] ?? character);
  }
  return { name: text.slice(0, brace), labels };
}
