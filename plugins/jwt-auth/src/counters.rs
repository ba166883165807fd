//! The metrics.

use jwt_auth_policy::{AdmitReason, Decision, JwtAuth as Policy, Reason, Verdict, Verification};
use portcullis_core::config::Mode;
use portcullis_core::label::Label;
use portcullis_host::{CountersBy, Gauge, Metrics};

/// The result of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchResult {
    /// A usable document.
    Good,
    /// A status other than 200, including Envoy's own 503 and 504 if it could not reach the server.
    Status,
    /// An incomplete response.
    BrokenOff,
    /// An unusable document.
    Unusable,
    /// Envoy did not send the request, for example because it does not know the cluster.
    NotSent,
}

impl Label for FetchResult {
    const ALL: &'static [Self] = &[
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
    /// By rule; the last one is for requests that no rule matches.
    decisions: Vec<Decisions>,
    verifications: CountersBy<Verification>,
    pub(crate) waiting: Gauge,
}

#[derive(Debug)]
struct Decisions {
    admitted: CountersBy<AdmitReason>,
    /// In shadow mode, the refusals that the rule would have made.
    refused: CountersBy<Reason>,
}

impl Counters {
    pub(crate) fn define(metrics: &Metrics, policy: &Policy) -> Self {
        let rules = policy.rules().chain([policy.no_rule()]);
        Self {
            decisions: rules
                .map(|(rule, mode)| Decisions::define(metrics, rule, mode))
                .collect(),
            verifications: metrics.counters_by("path", "verifications"),
            waiting: metrics.gauge("waiting"),
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
            Verdict::Admitted(reason) => decisions.admitted.increment(reason),
            Verdict::Refused(reason) | Verdict::ShadowRefused(reason) => {
                decisions.refused.increment(reason);
            }
            Verdict::Wait { .. } => {}
        }
    }
}

impl Decisions {
    fn define(metrics: &Metrics, rule: &str, mode: Mode) -> Self {
        let metrics = metrics.with("rule", rule);
        let refused = match mode {
            Mode::Shadow => "shadow_refused",
            Mode::Enforce | Mode::Off => "refused",
        };
        Self {
            admitted: metrics
                .with("outcome", "admitted")
                .counters_by("reason", "decisions"),
            refused: metrics
                .with("outcome", refused)
                .counters_by("reason", "decisions"),
        }
    }
}

/// The metrics of a remote document.
#[derive(Debug)]
pub(crate) struct DocumentCounters {
    fetches: CountersBy<FetchResult>,
    pub(crate) entries: Gauge,
    pub(crate) age: Gauge,
    /// 1 while there is no usable document.
    pub(crate) missing: Gauge,
}

/// The names of a document's metrics, and their label.
struct DocumentMetricNames<'n> {
    fetches: &'static str,
    entries: &'static str,
    age: &'static str,
    missing: &'static str,
    provider: Option<(&'static str, &'n str)>,
}

impl<'n> DocumentMetricNames<'n> {
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

impl DocumentMetricNames<'_> {
    fn labelled(&self, metrics: &Metrics) -> Metrics {
        match self.provider {
            Some((label, provider)) => metrics.with(label, provider),
            None => metrics.clone(),
        }
    }
}

impl DocumentCounters {
    /// The metrics of a provider's keys, or of the revocation list.
    pub(crate) fn define(metrics: &Metrics, provider: Option<&str>) -> Self {
        let names = DocumentMetricNames::of(provider);
        let metrics = names.labelled(metrics);
        Self {
            fetches: metrics.counters_by("result", names.fetches),
            entries: metrics.gauge(names.entries),
            age: metrics.gauge(names.age),
            missing: metrics.gauge(names.missing),
        }
    }

    /// Sets the gauges of a document that is no longer fetched to 0.
    pub(crate) fn retire(metrics: &Metrics, provider: Option<&str>) {
        let names = DocumentMetricNames::of(provider);
        let metrics = names.labelled(metrics);
        for gauge in [names.entries, names.age, names.missing] {
            metrics.gauge(gauge).set(0);
        }
    }

    pub(crate) fn count(&self, fetched: FetchResult) {
        self.fetches.increment(fetched);
    }
}
