// What the user has chosen to see: {words, onlyDenials, sinceStart}. It stands in the page's address, so that a
// link shows the same.

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

// A row's `words` is what the filter looks in; `denies` is undefined for rows that could not deny.
export function isChosen({ words, denies }, view) {
  if (view.onlyDenials && denies === false) return false;
  return view.words.every((word) => words.includes(word));
}

// What the filter looks in.
export function wordsOf(...names) {
  return names.join(" ").toLowerCase();
}
