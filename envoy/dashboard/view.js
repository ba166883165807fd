// The user's choices: {words, onlyDenials, sinceStart}. They are part of the page's address, so that a link shows the
// same view.

export function createView({ filter, onlyDenials, counts }, onChange) {
  const query = new URLSearchParams(location.search);
  filter.value = query.get("filter") ?? "";
  onlyDenials.checked = query.has("denies");
  counts.value = query.get("counts") === "start" ? "start" : "minute";

  const read = () => ({
    words: filter.value.toLowerCase().split(/\s+/).filter(Boolean),
    onlyDenials: onlyDenials.checked,
    sinceStart: counts.value === "start",
  });
  const view = read();
  const change = () => {
    Object.assign(view, read());
    const chosen = new URLSearchParams();
    if (filter.value.trim()) chosen.set("filter", filter.value.trim());
    if (view.onlyDenials) chosen.set("denies", "");
    if (view.sinceStart) chosen.set("counts", "start");
    const text = chosen.toString();
    window.history.replaceState(null, "", text ? `?${text}` : location.pathname);
    onChange();
  };
  for (const control of [filter, onlyDenials, counts]) control.addEventListener("input", change);
  return view;
}

// The filter searches a row's `words`; `denies` is undefined for rows that cannot deny.
export function isChosen({ words, denies }, view) {
  if (view.onlyDenials && denies === false) return false;
  return view.words.every((word) => words.includes(word));
}

// The text that the filter searches.
export function wordsOf(...names) {
  return names.join(" ").toLowerCase();
}
