// Makes elements. Text goes in as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export function html(name, attributes = {}, ...children) {
  return make(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return make(document.createElementNS(SVG, name), attributes, children);
}

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Replaces an element's text, if it is another one, so that what is read out is only what is new.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Fills a list with sentences, if they are other ones: lists may be read out when they change.
export function fillList(list, sentences) {
  const shown = [...list.children].map(({ textContent }) => textContent);
  if (shown.join("\n") === sentences.join("\n")) return;
  list.replaceChildren(...sentences.map((sentence) => html("li", {}, sentence)));
}

// A table that can be scrolled sideways where it is too wide, with the keyboard too.
export function table(caption, headings) {
  const head = html("tr", {}, ...headings.map((heading) => html("th", { scope: "col" }, heading)));
  const body = html("tbody");
  const element = html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    html("table", {}, html("caption", {}, caption), html("thead", {}, head), body));
  // Rows are lists of cells; the first cell of each is its heading.
  const fill = (rows) => {
    body.replaceChildren(...rows.map(([first, ...others]) =>
      html("tr", {}, html("th", { scope: "row" }, first), ...others.map((cell) => html("td", {}, cell)))));
    element.hidden = rows.length === 0;
  };
  fill([]);
  return { element, fill };
}
