//! The wiring of [`security_headers_policy`] to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

use portcullis_core::config::{Document, Errors, Name};
use portcullis_core::matcher::Subject;
use portcullis_host::{
    Counter, CountersBy, Error, Exchange, Failure, Flow, Metrics, Phase, Plugin, Property, Summary,
    random,
};
pub use security_headers_policy::SecurityHeaders as Policy;
use security_headers_policy::{Config, Nonce, Reason, Refusal, RuleId, Selection};

/// The plugin.
#[derive(Debug)]
pub struct SecurityHeaders {
    name: Name,
    policy: Policy,
    errors: Counter,
    /// By rule.
    counters: Vec<Counters>,
}

#[derive(Debug)]
struct Counters {
    responses: Counter,
    upstream_kept: Counter,
    cookies_rewritten: Counter,
    refused: CountersBy<Reason>,
    shadow_refused: CountersBy<Reason>,
}

/// What the response needs to know of the request.
#[derive(Debug, Default)]
pub struct Stream {
    selection: Option<Selection>,
    nonce: Option<Nonce>,
}

impl Plugin for SecurityHeaders {
    const NAME: &'static str = "security_headers";
    type Config = Config;
    type Stream = Stream;

    fn read(document: Document) -> Result<Config, Errors> {
        document.read()
    }

    fn new(config: Config) -> Self {
        let name = config.name.clone();
        let policy = Policy::new(config);
        let metrics = Metrics::new(Self::NAME, &name);
        let counters = policy
            .rules()
            .map(|rule| Counters::define(&metrics, rule))
            .collect();
        Self {
            errors: metrics.counter("errors", &[]),
            name,
            policy,
            counters,
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        vec![Summary {
            plugin: Self::NAME,
            policy: self.name.clone(),
            what: self.policy.to_string(),
        }]
    }

    /// The ends of streams say nothing to this plugin.
    fn on_error(&self, stream: &mut Stream, exchange: &mut Exchange, failure: Failure) -> Flow {
        self.errors.increment();
        let unmatched = Selection::default();
        let selection = stream.selection.as_ref().or_else(|| {
            let is_past = exchange.phase() != Phase::Request;
            is_past.then_some(&unmatched)
        });
        if let Some(reply) = self.policy.on_error(selection) {
            return Flow::Reply(reply);
        }
        if failure == Failure::Undecided
            && let Ok(request) = exchange.request()
        {
            self.policy.remove_nonce(request);
        }
        Flow::Continue
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        if !self.policy.needs_request() {
            stream.selection = Some(Selection::default());
            return Ok(Flow::Continue);
        }
        let route = if self.policy.needs_route() {
            let route = exchange.property(Property::ROUTE_NAME)?;
            route.unwrap_or_default()
        } else {
            Vec::new()
        };
        let selection = self
            .policy
            .select(&Subject::new(exchange.request()?, &route));
        let selection = stream.selection.insert(selection);

        let random = if self.policy.needs_nonce(selection) {
            Some(random()?)
        } else {
            None
        };
        let outcome = self
            .policy
            .on_request(selection, exchange.request()?, random);
        stream.nonce = outcome.nonce;
        match outcome.refused {
            Some(refusal) => Ok(self.refuse(refusal)),
            None => Ok(Flow::Continue),
        }
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        let Stream { selection, nonce } = stream;
        let selection = &*selection.get_or_insert_default();
        if self.policy.is_off(selection) {
            return Ok(Flow::Continue);
        }
        let tls = self.policy.needs_tls(selection) && {
            match exchange.property(Property::TLS_VERSION) {
                Ok(version) => version.is_some(),
                // Without TLS the other headers are set, should the response pass.
                Err(error) => {
                    let response = exchange.response()?;
                    self.policy
                        .on_response(selection, nonce.as_ref(), false, response);
                    return Err(error);
                }
            }
        };
        let outcome = self
            .policy
            .on_response(selection, nonce.as_ref(), tls, exchange.response()?);

        if let Some(counters) = self.counters(selection.certain()) {
            counters.responses.increment();
            counters.upstream_kept.add(outcome.kept_from_upstream);
            counters.cookies_rewritten.add(outcome.cookies_rewritten);
        }
        Ok(Flow::Continue)
    }
}

impl SecurityHeaders {
    fn counters(&self, rule: RuleId) -> Option<&Counters> {
        self.counters.get(rule.index())
    }

    fn refuse(&self, refusal: Refusal) -> Flow {
        if let Some(counters) = self.counters(refusal.rule) {
            let by_reason = match refusal.enforced {
                true => &counters.refused,
                false => &counters.shadow_refused,
            };
            by_reason.increment(refusal.reason);
        }
        match self.policy.reply(refusal) {
            Some(reply) => {
                log::debug!(
                    "security_headers {}: {}, {}",
                    self.name,
                    String::from_utf8_lossy(&reply.details),
                    refusal.reason.label()
                );
                Flow::Reply(reply)
            }
            None => Flow::Continue,
        }
    }
}

impl Counters {
    fn define(metrics: &Metrics, rule: &str) -> Self {
        let counter = |metric| metrics.counter(metric, &[("rule", rule)]);
        let by_reason = |metric| {
            CountersBy::define(&Reason::ALL, |reason| {
                metrics.counter(metric, &[("rule", rule), ("reason", reason.label())])
            })
        };
        Self {
            responses: counter("responses"),
            upstream_kept: counter("upstream_kept"),
            cookies_rewritten: counter("cookies_rewritten"),
            refused: by_reason("cross_site_refused"),
            shadow_refused: by_reason("cross_site_shadow_refused"),
        }
    }
}
