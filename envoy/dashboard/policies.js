// What the page shows of each policy. Metrics are called as in the plugins' READMEs, without the
// prefix `portcullis_<plugin>_`.
//
//   lines     the chart: {name, metric, where}, a rate; {title, metric, each, format}, a gauge's value for
//             each value of a label
//   states    in its place: a gauge of states, for each value of a label
//   tables    {caption, by: labels, columns}; a column is {title, metric, where}, and a count unless it
//             has `now: format`: a gauge, shown as it is
//   reasons   {caption, metric, where}: the counts of a metric by its label `reason`
//   troubles  {metric, text}: what should not happen, shown when it did in the last minutes

import { count, duration } from "./format.js";

const is = (outcome) => (labels) => labels.outcome === outcome;
const isNot = (outcome) => (labels) => labels.outcome !== outcome;

const ERRORS = { metric: "errors", text: "requests were left to on_error: shared state could not be read or written in time" };
const EVICTIONS = { metric: "evictions", text: "keys had to make room: more are in use than max_keys" };
const MALFORMED = { metric: "malformed", text: "blocks of a table could not be read and began anew: does something else write under this vm_id?" };

export const BREAKER_STATES = [
  { name: "closed", text: "closed" },
  { name: "half-open", text: "half-open" },
  { name: "open", text: "open" },
];

export const POLICIES = [
  {
    plugin: "security_headers",
    about: "Responses that got their headers, cookies that got attributes, forged requests that were refused.",
    lines: [{ name: "responses", metric: "responses" }, { name: "refused", metric: "cross_site_refused" }],
    tables: [{
      caption: "By rule",
      by: ["policy", "rule"],
      columns: [
        { title: "Responses", metric: "responses" },
        { title: "Cookies", metric: "cookies_rewritten" },
        { title: "Refused", metric: "cross_site_refused" },
        { title: "Would refuse", metric: "cross_site_shadow_refused" },
      ],
    }],
    reasons: { caption: "Refused by reason", metric: "cross_site_refused" },
    troubles: [],
  },
  {
    plugin: "jwt_auth",
    about: "Who came in, who did not and why; and how fresh the keys are.",
    lines: [
      { name: "admitted", metric: "decisions", where: is("admitted") },
      { name: "refused", metric: "decisions", where: is("refused") },
    ],
    tables: [
      {
        caption: "By rule",
        by: ["policy", "rule"],
        columns: [
          { title: "Admitted", metric: "decisions", where: is("admitted") },
          { title: "Refused", metric: "decisions", where: is("refused") },
          { title: "Would refuse", metric: "decisions", where: is("shadow_refused") },
        ],
      },
      {
        caption: "Keys of each provider",
        by: ["policy", "provider"],
        columns: [
          { title: "Keys", metric: "jwks_keys", now: count },
          { title: "Age", metric: "jwks_age_seconds", now: duration },
        ],
      },
      { caption: "Signatures", by: ["policy", "path"], columns: [{ title: "Count", metric: "verifications" }] },
    ],
    reasons: { caption: "Refused by reason", metric: "decisions", where: isNot("admitted") },
    troubles: [],
  },
  {
    plugin: "rate_limit",
    about: "Who passed under each limit, and who was over it.",
    lines: [{ name: "admitted", metric: "admitted" }, { name: "denied", metric: "denied" }],
    tables: [{
      caption: "By limit",
      by: ["policy", "limit"],
      columns: [
        { title: "Admitted", metric: "admitted" },
        { title: "Near the limit", metric: "near_limit" },
        { title: "Denied", metric: "denied" },
        { title: "Would deny", metric: "shadow_denied" },
        { title: "Keys, at most", metric: "occupancy", now: count },
      ],
    }],
    reasons: { caption: "Denied by reason", metric: "denied" },
    troubles: [ERRORS, EVICTIONS, MALFORMED],
  },
  {
    plugin: "circuit_breaker",
    about: "Which circuits are open, why they tripped, and what they kept from the upstreams.",
    states: { metric: "state", each: "breaker", names: BREAKER_STATES },
    statusView: true,
    tables: [{
      caption: "By breaker",
      by: ["policy", "breaker"],
      columns: [
        { title: "Open keys", metric: "open_keys", now: count },
        { title: "Failures", metric: "failures" },
        { title: "Slow", metric: "slow" },
        { title: "Rejected", metric: "rejected" },
        { title: "Would reject", metric: "shadow_rejected" },
      ],
    }],
    reasons: { caption: "Opened by reason", metric: "opened" },
    troubles: [
      ERRORS,
      EVICTIONS,
      { metric: "leases_expired", text: "permits came back by themselves: streams ended without a word, or took longer than their lease" },
    ],
  },
  {
    plugin: "retry_budget",
    about: "What is left to spend on retries, and what was spent.",
    lines: [{ title: "Balance", metric: "balance", each: "budget", format: count }],
    tables: [{
      caption: "By budget",
      by: ["policy", "budget"],
      columns: [
        { title: "Balance", metric: "balance", now: count },
        { title: "Requests", metric: "deposits" },
        { title: "Retries", metric: "retries_used" },
        { title: "Denied", metric: "denied" },
        { title: "Denied, inbound", metric: "inbound_denied" },
      ],
    }],
    reasons: { caption: "Denied by reason", metric: "denied" },
    troubles: [ERRORS, EVICTIONS, MALFORMED],
  },
];
