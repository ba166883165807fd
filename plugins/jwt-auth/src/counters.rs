//! What is counted.

use portcullis_host::{Counter, Gauge, Metrics};
use portcullis_policy::config::Mode;
use portcullis_policy::jwt_auth::{
    Decision, Grounds, JwtAuth as Policy, Reason, Verdict, Verification,
};

/// What came of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// A document that can be used.
    Good,
    /// Another status than 200; Envoy's own 503 and 504 among them, when it reached nobody.
    Status,
    /// No whole response.
    BrokenOff,
    /// A document that cannot be used.
    Unusable,
    /// Envoy did not send it: it does not know the cluster, say.
    NotSent,
}

impl Fetched {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Good, "good"),
        (Self::Status, "status"),
        (Self::BrokenOff, "broken_off"),
        (Self::Unusable, "unusable"),
        (Self::NotSent, "not_sent"),
    ];
}

/// The metrics of an instance.
#[derive(Debug)]
pub(crate) struct Counters {
    /// By rule; the last one is for requests that no rule is for.
    decisions: Vec<Decisions>,
    verifications: [Counter; Verification::ALL.len()],
    pub(crate) waiting: Gauge,
}

#[derive(Debug)]
struct Decisions {
    admitted: [Counter; Grounds::ALL.len()],
    /// Those of a rule in shadow mode are would-be refusals.
    refused: Vec<Counter>,
}

impl Counters {
    pub(crate) fn define(metrics: &Metrics, policy: &Policy) -> Self {
        let rules = policy.rules().chain([policy.no_rule()]);
        Self {
            decisions: rules
                .map(|(rule, mode)| Decisions::define(metrics, rule, mode))
                .collect(),
            verifications: Verification::ALL
                .map(|path| metrics.counter("verifications", &[("path", path.label())])),
            waiting: metrics.gauge("waiting", &[]),
        }
    }

    pub(crate) fn count(&self, decision: &Decision) {
        for path in decision.verifications() {
            find(&self.verifications, &Verification::ALL, path).increment();
        }
        let rule = decision.rule().map(|rule| self.decisions.get(rule.index()));
        let Some(decisions) = rule.unwrap_or_else(|| self.decisions.last()) else {
            return;
        };
        match decision.verdict() {
            Verdict::Admitted(grounds) => {
                find(&decisions.admitted, &Grounds::ALL, &grounds).increment();
            }
            Verdict::Refused(reason) | Verdict::ShadowRefused(reason) => {
                find(&decisions.refused, Reason::ALL, &reason).increment();
            }
            Verdict::Wait { .. } => {}
        }
    }
}

impl Decisions {
    fn define(metrics: &Metrics, rule: &str, mode: Mode) -> Self {
        let counter = |outcome, reason| {
            let labels = [("rule", rule), ("outcome", outcome), ("reason", reason)];
            metrics.counter("decisions", &labels)
        };
        let refused = match mode {
            Mode::Shadow => "shadow_refused",
            Mode::Enforce | Mode::Off => "refused",
        };
        Self {
            admitted: Grounds::ALL.map(|grounds| counter("admitted", grounds.label())),
            refused: Reason::ALL
                .iter()
                .map(|reason| counter(refused, reason.label()))
                .collect(),
        }
    }
}

/// The metrics of a document that is fetched.
#[derive(Debug)]
pub(crate) struct DocumentCounters {
    fetches: [Counter; Fetched::ALL.len()],
    pub(crate) entries: Gauge,
    pub(crate) age: Gauge,
}

impl DocumentCounters {
    /// The metrics of a provider's keys, or of the revocation list.
    pub(crate) fn define(metrics: &Metrics, provider: Option<&str>) -> Self {
        let (names, provider) = match provider {
            Some(provider) => (
                ["jwks_fetches", "jwks_keys", "jwks_age_seconds"],
                Some(("provider", provider)),
            ),
            None => (
                [
                    "revocation_fetches",
                    "revocation_entries",
                    "revocation_age_seconds",
                ],
                None,
            ),
        };
        let [fetches, entries, age] = names;
        let labels: Vec<(&str, &str)> = provider.into_iter().collect();
        Self {
            fetches: Fetched::ALL.map(|(_, result)| {
                metrics.counter(fetches, &[&labels[..], &[("result", result)]].concat())
            }),
            entries: metrics.gauge(entries, &labels),
            age: metrics.gauge(age, &labels),
        }
    }

    pub(crate) fn count(&self, fetched: Fetched) {
        let results = Fetched::ALL.map(|(result, _)| result);
        find(&self.fetches, &results, &fetched).increment();
    }
}

fn find<T: PartialEq>(counters: &[Counter], all: &[T], one: &T) -> Counter {
    let mut counters = counters.iter().zip(all);
    let found = counters.find(|(_, other)| *other == one);
    found.map(|(counter, _)| *counter).unwrap_or_default()
}
