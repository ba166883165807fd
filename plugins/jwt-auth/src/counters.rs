//! What is counted.

use jwt_auth_policy::{Decision, Grounds, JwtAuth as Policy, Reason, Verdict, Verification};
use portcullis_core::config::Mode;
use portcullis_host::{CountersBy, Gauge, Metrics};

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
    const ALL: [Self; 5] = [
        Self::Good,
        Self::Status,
        Self::BrokenOff,
        Self::Unusable,
        Self::NotSent,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Status => "status",
            Self::BrokenOff => "broken_off",
            Self::Unusable => "unusable",
            Self::NotSent => "not_sent",
        }
    }
}

/// The metrics of an instance.
#[derive(Debug)]
pub(crate) struct Counters {
    /// By rule; the last one is for requests that no rule is for.
    decisions: Vec<Decisions>,
    verifications: CountersBy<Verification>,
    pub(crate) waiting: Gauge,
}

#[derive(Debug)]
struct Decisions {
    admitted: CountersBy<Grounds>,
    /// Those of a rule in shadow mode are would-be refusals.
    refused: CountersBy<Reason>,
}

impl Counters {
    pub(crate) fn define(metrics: &Metrics, policy: &Policy) -> Self {
        let rules = policy.rules().chain([policy.no_rule()]);
        Self {
            decisions: rules
                .map(|(rule, mode)| Decisions::define(metrics, rule, mode))
                .collect(),
            verifications: CountersBy::define(&Verification::ALL, |path| {
                metrics.counter("verifications", &[("path", path.label())])
            }),
            waiting: metrics.gauge("waiting", &[]),
        }
    }

    pub(crate) fn count(&self, decision: &Decision) {
        for path in decision.verifications() {
            self.verifications.increment(*path);
        }
        let rule = decision.rule().map(|rule| self.decisions.get(rule.index()));
        let Some(decisions) = rule.unwrap_or_else(|| self.decisions.last()) else {
            return;
        };
        match decision.verdict() {
            Verdict::Admitted(grounds) => decisions.admitted.increment(grounds),
            Verdict::Refused(reason) | Verdict::ShadowRefused(reason) => {
                decisions.refused.increment(reason);
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
            admitted: CountersBy::define(&Grounds::ALL, |grounds| {
                counter("admitted", grounds.label())
            }),
            refused: CountersBy::define(Reason::ALL, |reason| counter(refused, reason.label())),
        }
    }
}

/// The metrics of a document that is fetched.
#[derive(Debug)]
pub(crate) struct DocumentCounters {
    fetches: CountersBy<Fetched>,
    pub(crate) entries: Gauge,
    pub(crate) age: Gauge,
    /// 1 while there is no document that can be used.
    pub(crate) missing: Gauge,
}

/// What metrics of a document are called, and whose they are.
struct Names<'n> {
    fetches: &'static str,
    entries: &'static str,
    age: &'static str,
    missing: &'static str,
    provider: Option<(&'static str, &'n str)>,
}

impl<'n> Names<'n> {
    fn of(provider: Option<&'n str>) -> Self {
        match provider {
            Some(provider) => Self {
                fetches: "jwks_fetches",
                entries: "jwks_keys",
                age: "jwks_age_seconds",
                missing: "jwks_missing",
                provider: Some(("provider", provider)),
            },
            None => Self {
                fetches: "revocation_fetches",
                entries: "revocation_entries",
                age: "revocation_age_seconds",
                missing: "revocation_missing",
                provider: None,
            },
        }
    }
}

impl DocumentCounters {
    /// The metrics of a provider's keys, or of the revocation list.
    pub(crate) fn define(metrics: &Metrics, provider: Option<&str>) -> Self {
        let names = Names::of(provider);
        let labels: Vec<(&str, &str)> = names.provider.into_iter().collect();
        Self {
            fetches: CountersBy::define(&Fetched::ALL, |fetched| {
                let result = [("result", fetched.label())];
                metrics.counter(names.fetches, &[&labels[..], &result].concat())
            }),
            entries: metrics.gauge(names.entries, &labels),
            age: metrics.gauge(names.age, &labels),
            missing: metrics.gauge(names.missing, &labels),
        }
    }

    /// Sets the gauges of a document that is no longer fetched to 0.
    pub(crate) fn retire(metrics: &Metrics, provider: Option<&str>) {
        let names = Names::of(provider);
        let labels: Vec<(&str, &str)> = names.provider.into_iter().collect();
        for gauge in [names.entries, names.age, names.missing] {
            metrics.gauge(gauge, &labels).set(0);
        }
    }

    pub(crate) fn count(&self, fetched: Fetched) {
        self.fetches.increment(fetched);
    }
}
