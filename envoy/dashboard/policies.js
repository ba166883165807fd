// Describes the panel of each policy. Metrics have the names of the plugins' READMEs, without the prefix
// `portcullis_<plugin>_`.
//
//   lines     the chart: {name, metric, where}, a rate; or {title, metric, each, format, noun}, a gauge's value
//             for each value of a label, the lowest first
//   states    instead of `lines`: a gauge of states, for each value of a label
//   tables    {caption, noun, by: labels, only, columns}; a column is {title, metric, where}, a count; with `now: format`
//             it is a gauge, shown as it is; with {per, format} it is the quotient of two metrics' increases. `only`
//             names a metric: rows without it are left out. `denies` marks columns of requests that are or would be refused. `worst` is a
//             function of a gauge's value that sorts the table, the greatest first; `isBad` selects values to highlight
//   refusals  {metric, where, rule, kind, failed}: counters with the label `reason`, and the label that names the
//             rule. `failed` selects the reasons for which clients get a 5xx
//   opened    {caption, metric}: a metric by its label `reason` that does not count refusals
//   troubles  {metric, text}: events that should not happen, shown if they did in the last ten minutes
//   metrics   for a panel about a part of a plugin: a pattern of its metrics' names. Such a panel has its own `id` and
//             `title`

import { FLEET } from "./fleet.js";
import { count, duration, yesOrNo } from "./format.js";

const ALWAYS = () => true;
const NEVER = () => false;
const is = (outcome) => (labels) => labels.outcome === outcome;

const ERRORS = { metric: "errors", text: "requests were left to on_error: shared state could not be read or written in time" };
const EVICTIONS = { metric: "evictions", text: "keys were evicted: more are in use than max_keys" };
const MALFORMED = { metric: "malformed", text: "blocks of a table could not be read and were reset: does something else write under this vm_id?" };
const GAVE_UP = { metric: "gave_up", text: "updates were given up: too many workers write the same key" };

// In seconds: a greater age means that fetches fail. They suit the defaults of `refresh`.
export const OLD_KEYS = 3_600;
export const OLD_REVOCATIONS = 900;

// jwt-auth's reasons for a 503: it could not check the token.
export const UNCHECKED = ["keys_unavailable", "revocation_unavailable", "too_many_waiting", "error"];

export const BREAKER_STATES = [
  { name: "closed", text: "closed" },
  { name: "half-open", text: "half-open" },
  { name: "open", text: "open" },
];

export const POLICIES = [
  {
    plugin: "security_headers",
    about: "Responses that received headers, cookies that received attributes, and forged requests that were refused.",
    lines: [{ name: "responses", metric: "responses" }, { name: "refused", metric: "cross_site_refused" }],
    tables: [{
      caption: "By rule",
      noun: "rules",
      by: ["policy", "rule"],
      columns: [
        { title: "Responses", metric: "responses" },
        { title: "Cookies", metric: "cookies_rewritten" },
        { title: "Refused", metric: "cross_site_refused", denies: true },
        { title: "Would refuse", metric: "cross_site_shadow_refused", denies: true },
      ],
    }],
    refusals: [{ metric: "cross_site_refused", rule: "rule", failed: NEVER }],
    troubles: [{ metric: "errors", text: "requests and responses were left to on_error: Envoy failed to return or change their headers" }],
  },
  {
    plugin: "jwt_auth",
    about: "Requests that were admitted or refused, and the age of the keys.",
    lines: [
      { name: "admitted", metric: "decisions", where: is("admitted") },
      { name: "refused", metric: "decisions", where: is("refused") },
    ],
    tables: [
      {
        caption: "By rule",
        noun: "rules",
        by: ["policy", "rule"],
        columns: [
          { title: "Admitted", metric: "decisions", where: is("admitted") },
          { title: "Refused", metric: "decisions", where: is("refused"), denies: true },
          { title: "Would refuse", metric: "decisions", where: is("shadow_refused"), denies: true },
        ],
      },
      {
        caption: "Keys by provider",
        noun: "providers",
        by: ["policy", "provider"],
        columns: [
          { title: "Keys", metric: "jwks_keys", now: count },
          { title: "Missing", metric: "jwks_missing", now: yesOrNo, worst: (missing) => missing, isBad: (missing) => missing > 0 },
          { title: "Age", metric: "jwks_age_seconds", now: duration, worst: (age) => age, isBad: (age) => age > OLD_KEYS },
        ],
      },
      {
        caption: "Revocation list",
        noun: "policies",
        by: ["policy"],
        columns: [
          { title: "Entries", metric: "revocation_entries", now: count },
          { title: "Missing", metric: "revocation_missing", now: yesOrNo, worst: (missing) => missing, isBad: (missing) => missing > 0 },
          { title: "Age", metric: "revocation_age_seconds", now: duration, worst: (age) => age, isBad: (age) => age > OLD_REVOCATIONS },
        ],
      },
      { caption: "Signatures", noun: "paths", by: ["policy", "path"], columns: [{ title: "Count", metric: "verifications" }] },
    ],
    refusals: [{ metric: "decisions", where: is("refused"), rule: "rule", failed: (reason) => UNCHECKED.includes(reason) }],
    troubles: [],
  },
  {
    plugin: "rate_limit",
    about: "Requests that each limit admitted, and requests that exceeded it.",
    lines: [{ name: "admitted", metric: "admitted" }, { name: "denied", metric: "denied" }],
    tables: [{
      caption: "By limit",
      noun: "limits",
      by: ["policy", "limit"],
      columns: [
        { title: "Admitted", metric: "admitted" },
        { title: "Near limit", metric: "near_limit" },
        { title: "Denied", metric: "denied", denies: true },
        { title: "Would deny", metric: "shadow_denied", denies: true },
        { title: "Keys, at most", metric: "occupancy", now: count },
      ],
    }],
    refusals: [{ metric: "denied", rule: "limit", failed: (reason) => reason === "unavailable" }],
    troubles: [ERRORS, EVICTIONS, MALFORMED, GAVE_UP],
  },
  {
    plugin: "circuit_breaker",
    about: "Open circuits, the reasons why they tripped, and the requests that they kept from the upstreams.",
    states: { title: "State", metric: "state", each: "breaker", names: BREAKER_STATES },
    statusView: true,
    tables: [{
      caption: "By breaker",
      noun: "breakers",
      by: ["policy", "breaker"],
      columns: [
        { title: "Open keys", metric: "open_keys", now: count, worst: (keys) => keys, isBad: (keys) => keys > 0 },
        { title: "Failures", metric: "failures" },
        { title: "Slow", metric: "slow" },
        { title: "Rejected", metric: "rejected", denies: true },
        { title: "Would reject", metric: "shadow_rejected", denies: true },
      ],
    }],
    refusals: [{ metric: "rejected", rule: "breaker", failed: ALWAYS }],
    opened: { caption: "Opened by reason", metric: "opened" },
    troubles: [
      ERRORS,
      EVICTIONS,
      MALFORMED,
      GAVE_UP,
      { metric: "leases_expired", text: "permits expired: streams ended without a result, or took longer than their lease" },
    ],
  },
  {
    plugin: "retry_budget",
    about: "Retries that the budgets can still grant, and retries that were made.",
    lines: [{ title: "Balance", metric: "balance", each: "budget", format: count }],
    tables: [{
      caption: "By budget",
      noun: "budgets",
      by: ["policy", "budget"],
      columns: [
        { title: "Balance", metric: "balance", now: count },
        { title: "Requests", metric: "deposits" },
        { title: "Retries", metric: "retries_used" },
        { title: "Denied", metric: "denied", denies: true },
        { title: "Denied, inbound", metric: "inbound_denied", denies: true },
      ],
    }],
    refusals: [
      { metric: "denied", rule: "budget", kind: "retries", failed: NEVER },
      { metric: "inbound_denied", rule: "budget", kind: "inbound retries", failed: ALWAYS },
    ],
    troubles: [ERRORS, EVICTIONS, MALFORMED, GAVE_UP],
  },
];

// All panels, in the order of the page.
export const PANELS = POLICIES.flatMap((policy) => (policy.plugin === FLEET.plugin ? [policy, FLEET] : [policy]));

// A plugin's name as its README writes it.
export function titleOf(plugin) {
  return plugin.replaceAll("_", "-");
}
