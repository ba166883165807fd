// Describes the panel of limits that a rate-limit service counts for several proxies. See policies.js for the form.

import { duration, milliseconds, oneOf, yesOrNo } from "./format.js";

const MODE = ["each", "lease"];
const ON_OUTAGE = ["local", "allow", "deny"];

const byLimit = { noun: "limits", by: ["policy", "limit"], only: "fleet_mode" };
const calls = (result) => ({ metric: "fleet_calls", where: (labels) => labels.result === result });
const failed = { worst: (amount) => amount, isBad: (amount) => amount > 0 };

export const FLEET = {
  id: "fleet",
  plugin: "rate_limit",
  title: "Limits of a fleet",
  metrics: /^(fleet|service)_/,
  about: "Limits that a rate-limit service counts for several Envoys. The numbers are those of this Envoy.",
  lines: [
    { name: "hits taken", metric: "fleet_taken" },
    { name: "hits wasted", metric: "fleet_wasted" },
    { name: "calls", metric: "fleet_calls" },
    { name: "requests that waited", metric: "fleet_waited" },
  ],
  tables: [
    {
      caption: "Rate-limit services",
      noun: "services",
      by: ["policy", "service"],
      columns: [
        { title: "Out", metric: "service_out", now: yesOrNo, ...failed },
        { title: "Out for", metric: "service_out_seconds", now: duration },
      ],
    },
    {
      ...byLimit,
      caption: "Requests by limit",
      columns: [
        { title: "Mode", metric: "fleet_mode", now: oneOf(MODE) },
        { title: "Admitted", metric: "admitted" },
        { title: "Waited", metric: "fleet_waited" },
        { title: "Denied, cached", metric: "fleet_cached_denials", denies: true },
      ],
    },
    {
      ...byLimit,
      caption: "Hits by limit",
      columns: [
        { title: "Taken", metric: "fleet_taken" },
        { title: "Returned", metric: "fleet_returned" },
        { title: "Wasted", metric: "fleet_wasted" },
        { title: "Lease age", metric: "fleet_lease_milliseconds", per: "fleet_leases", format: milliseconds },
      ],
    },
    {
      ...byLimit,
      caption: "Calls by limit",
      columns: [
        { title: "Granted", ...calls("ok") },
        { title: "Refused", ...calls("over_limit") },
        { title: "Too late", ...calls("timeout"), ...failed },
        { title: "Failed", ...calls("error"), ...failed },
      ],
    },
    {
      ...byLimit,
      caption: "While the service is out",
      columns: [
        { title: "on_outage", metric: "fleet_on_outage", now: oneOf(ON_OUTAGE) },
        { title: "Requests", metric: "fleet_outage", ...failed },
      ],
    },
  ],
  troubles: [
    { metric: "fleet_evictions", text: "leases were evicted, and their hits are lost: more keys are in use than max_keys" },
    { metric: "fleet_malformed", text: "blocks of leases could not be read and were reset: does something else write under this vm_id?" },
    { metric: "fleet_gave_up", text: "updates of leases were given up: too many workers write the same key" },
  ],
};
