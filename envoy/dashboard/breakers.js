// Circuit-breaker's status view: the keys that are not closed, with reasons and times.

import { html, setText } from "./dom.js";
import { count, duration } from "./format.js";
import { createTable } from "./table.js";
import { wordsOf } from "./view.js";

// The `status_path` of the circuit-breaker on the page's listener.
const PATH = "portcullis/breakers";
const HEADINGS = ["Breaker / key", "State", "Time left", "Reason", "Trips in a row", "Probes out"];
const STATES = ["closed", "half_open", "open"];

// A part of circuit-breaker's panel: {read, update}. Without a status view (404), it shows nothing, and does not ask
// again.
export function createStatusView(parent) {
  const table = createTable({ caption: "Keys that are not closed", headings: HEADINGS, noun: "keys" });
  const failure = html("p", { class: "quiet" });
  let isThere = true;
  let rows = [];
  parent.append(table.element, failure);

  async function read(signal) {
    if (!isThere) return;
    try {
      const response = await fetch(PATH, { cache: "no-store", signal });
      isThere = response.status !== 404;
      const { breakers = [] } = response.ok ? await response.json() : {};
      rows = breakers.flatMap(({ name, keys }) => keys.filter(({ state }) => state !== "closed").map((key) => rowOf(name, key)))
        .sort((left, right) => left.key.localeCompare(right.key));
      setText(failure, response.ok || !isThere ? "" : `The status view answered with ${response.status}.`);
    } catch {
      rows = [];
      setText(failure, "The status view did not answer.");
    }
  }
  return { read, update: (view) => table.update(rows, view) };
}

function rowOf(breaker, key) {
  const name = `${breaker} / ${key.key}`;
  return {
    key: name,
    words: wordsOf("circuit-breaker", name),
    weight: [STATES.indexOf(key.state), key.trips_in_a_row],
    denies: true,
    cells: () => [
      name,
      key.state.replace("_", "-"),
      duration(Math.ceil(key.time_left_ms / 1000)),
      key.last_trip?.reason ?? "–",
      count(key.trips_in_a_row),
      count(key.probes_out),
    ],
  };
}
