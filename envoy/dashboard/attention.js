// The notices at the top of the page, and their severity in its header, title and icon.

import { html, keyedList, pill, setAttribute, setText } from "./dom.js";
import { counted } from "./format.js";

const TITLE = "Portcullis";
const SIGNS = { critical: "✗", warning: "!" };
const PLURALS = { critical: "critical", warning: "warnings" };
const PLACES = { "signals-title": "signals", why: "reasons", fleet: "limits of a fleet" };

// The parameters are elements: the list, its replacement when it is empty, the summary in the header, the announcement
// for screen readers, and the icon's link.
export function createAttention({ list, none, summary, announcement, icon }) {
  const fill = keyedList(list, createNotice);
  const severityPill = pill();
  summary.append(severityPill.element);
  let announced = new Set();

  // `isKnown`: the page knows enough to say that nothing needs attention.
  return function update(notices, isKnown) {
    fill(notices);
    none.hidden = !isKnown || notices.length > 0;
    const amounts = ["critical", "warning"]
      .map((severity) => [severity, notices.filter((notice) => notice.severity === severity).length])
      .filter(([, amount]) => amount > 0);
    const [[worst] = [""]] = amounts;
    const text = amounts.map(([severity, amount]) => counted(amount, severity, PLURALS[severity])).join(", ");
    severityPill.update(worst || "ok", text || (isKnown ? "ok" : ""));
    summary.hidden = severityPill.element.hidden;
    setAttribute(document.body, "data-severity", worst);
    document.title = text ? `${SIGNS[worst]} ${text} – ${TITLE}` : TITLE;
    setAttribute(icon, "href", worst ? `icon-${worst}.svg` : "icon.svg");
    // Only new notices are announced, without their numbers.
    const isNew = notices.filter(({ key }) => !announced.has(key));
    announced = new Set(notices.map(({ key }) => key));
    if (isNew.length > 0) setText(announcement, isNew.map(({ severity, title }) => `${severity}: ${title}.`).join(" "));
  };
}

function createNotice() {
  const level = pill("level");
  const title = html("strong");
  const detail = html("span", { class: "detail" });
  const link = html("a");
  const element = html("li", {}, level.element, html("p", {}, title, " ", detail), link);
  return {
    element,
    update({ severity, place, ...texts }) {
      setAttribute(element, "data-level", severity);
      level.update(severity);
      setText(title, `${texts.title}.`);
      setText(detail, texts.detail);
      link.hidden = place === undefined;
      if (place === undefined) return;
      setAttribute(link, "href", `#${place}`);
      setText(link, `Show ${PLACES[place] ?? place.replaceAll("_", "-")}`);
    },
  };
}
