//! The wiring of [`security_headers_policy`] to Envoy.
//!
//! The policy's documentation is the specification; the README in this folder is for users.

use portcullis_core::key::Needs;
use portcullis_core::label::Label as _;
use portcullis_host::{
    Counter, CountersBy, Error, Exchange, Failure, Flow, Instance, Metrics, Phase, Plugin,
    Property, random,
};
pub use security_headers_policy::SecurityHeaders as Policy;
use security_headers_policy::{Nonce, Reason, Refusal, RuleId, Selection};

/// The plugin.
#[derive(Debug)]
pub struct SecurityHeaders {
    instance: Instance<Policy>,
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

/// The state of a request that its response needs.
#[derive(Debug, Default)]
pub struct Stream {
    selection: Option<Selection>,
    nonce: Option<Nonce>,
}

impl Plugin for SecurityHeaders {
    type Policy = Policy;
    type Stream = Stream;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let counters = instance
            .rules()
            .map(|rule| Counters::define(&metrics.with("rule", rule)))
            .collect();
        Self {
            errors: metrics.counter("errors"),
            instance,
            counters,
        }
    }

    const SEES_END: bool = false;

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    fn on_error(&self, stream: &mut Stream, exchange: &mut Exchange, failure: Failure) -> Flow {
        self.errors.increment();
        let unmatched = Selection::default();
        let selection = stream.selection.as_ref().or_else(|| {
            let is_past = exchange.phase() != Phase::Request;
            is_past.then_some(&unmatched)
        });
        if let Some(reply) = self.instance.on_error(selection) {
            return Flow::reply(reply);
        }
        if failure == Failure::Undecided
            && let Ok(request) = exchange.request()
        {
            self.instance.remove_nonce(request);
        }
        Flow::Continue
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        let needs = Needs {
            headers: true,
            ..self.instance.needs()
        };
        let (attributes, headers) = exchange.request_with(needs)?;
        let selection = self.instance.select(&attributes.subject(headers));
        let selection = stream.selection.insert(selection);

        let random = if self.instance.needs_nonce(selection) {
            Some(random()?)
        } else {
            None
        };
        let outcome = self
            .instance
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
        if self.instance.is_off(selection) {
            return Ok(Flow::Continue);
        }
        let tls = self.instance.needs_tls(selection) && {
            match exchange.property(Property::TlsVersion) {
                Ok(version) => version.is_some(),
                // If the response passes, it gets all headers but HSTS.
                Err(error) => {
                    let response = exchange.response()?;
                    self.instance
                        .on_response(selection, nonce.as_ref(), false, response);
                    return Err(error);
                }
            }
        };
        let outcome =
            self.instance
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
        match self.instance.reply(refusal) {
            Some(reply) => {
                log::debug!(
                    "portcullis security_headers \"{}\": denied: {}, {}",
                    self.instance.name(),
                    String::from_utf8_lossy(&reply.details),
                    refusal.reason.label()
                );
                Flow::reply(reply)
            }
            None => Flow::Continue,
        }
    }
}

impl Counters {
    fn define(metrics: &Metrics) -> Self {
        Self {
            responses: metrics.counter("responses"),
            upstream_kept: metrics.counter("upstream_kept"),
            cookies_rewritten: metrics.counter("cookies_rewritten"),
            refused: metrics.counters_by("reason", "cross_site_refused"),
            shadow_refused: metrics.counters_by("reason", "cross_site_shadow_refused"),
        }
    }
}
