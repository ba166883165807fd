//! The wiring of [`policy::security_headers`](portcullis_policy::security_headers) to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

use portcullis_host::{
    Counter, CountersBy, Error, Exchange, Flow, Metrics, Plugin, Property, Summary, random,
};
use portcullis_policy::config::{Document, Errors, Name};
use portcullis_policy::matcher::Subject;
use portcullis_policy::reply::Reply;
use portcullis_policy::security_headers::{
    Config, Nonce, Reason, Refusal, RuleId, SecurityHeaders as Policy,
};

/// The plugin.
#[derive(Debug)]
pub struct SecurityHeaders {
    name: Name,
    policy: Policy,
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
    rule: Option<RuleId>,
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

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        if !self.policy.needs_request() {
            stream.rule = Some(RuleId::default());
            return Ok(Flow::Continue);
        }
        let route = if self.policy.needs_route() {
            let route = exchange.property(Property::ROUTE_NAME);
            exchange.settle(Self::NAME, route).unwrap_or_default()
        } else {
            Vec::new()
        };
        let rule = self
            .policy
            .select(&Subject::new(exchange.request()?, &route));
        stream.rule = Some(rule);

        let random = if self.policy.needs_nonce(rule) {
            let random = random().map(Some);
            exchange.settle(Self::NAME, random)
        } else {
            None
        };
        let outcome = self.policy.on_request(rule, exchange.request()?, random);
        stream.nonce = outcome.nonce;
        match outcome.refused {
            Some(refusal) => Ok(self.refuse(rule, refusal)),
            None => Ok(Flow::Continue),
        }
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        let rule = stream.rule.unwrap_or_default();
        if self.policy.is_off(rule) {
            return Ok(Flow::Continue);
        }
        let tls = self.policy.needs_tls(rule) && {
            let version = exchange.property(Property::TLS_VERSION);
            exchange.settle(Self::NAME, version).is_some()
        };
        let outcome =
            self.policy
                .on_response(rule, stream.nonce.as_ref(), tls, exchange.response()?);

        if let Some(counters) = self.counters(rule) {
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

    fn refuse(&self, rule: RuleId, refusal: Refusal) -> Flow {
        if let Some(counters) = self.counters(rule) {
            let by_reason = match refusal.enforced {
                true => &counters.refused,
                false => &counters.shadow_refused,
            };
            by_reason.increment(refusal.reason);
        }
        if !refusal.enforced {
            return Flow::Continue;
        }
        Flow::Reply(Reply {
            status: 403,
            grpc_status: None,
            details: "cross_site_refused".into(),
            headers: Vec::new(),
            body: "Cross-site request refused\n".into(),
        })
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
