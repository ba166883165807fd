// Circuit-breaker's status view: which keys are not closed, why, and for how long.

import { table } from "./dom.js";
import { count, duration } from "./format.js";

// The `status_path` of the circuit-breaker on the page's listener.
const PATH = "portcullis/breakers";
const COLUMNS = ["breaker / key", "State", "Time left", "Reason", "Trips in a row", "Probes out"];

// Goes into circuit-breaker's panel. Without a status view (404) it shows nothing, and does not ask again.
export function createStatusView(parent) {
  const { element, fill } = table("Keys that are not closed", COLUMNS);
  let isThere = true;
  parent.append(element);

  return async function update(signal) {
    if (!isThere) return;
    const response = await fetch(PATH, { cache: "no-store", signal });
    isThere = response.status !== 404;
    const { breakers = [] } = response.ok ? await response.json() : {};
    fill(breakers.flatMap(({ name, keys }) =>
      keys.filter(({ state }) => state !== "closed").map((key) => [
        `${name} / ${key.key}`,
        key.state.replace("_", "-"),
        duration(Math.ceil(key.time_left_ms / 1000)),
        key.last_trip?.reason ?? "–",
        count(key.trips_in_a_row),
        count(key.probes_out),
      ])));
  };
}
