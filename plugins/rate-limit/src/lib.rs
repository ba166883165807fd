//! The wiring of [`rate_limit_policy`] to Envoy.
//!
//! The policy's documentation is the specification; the README in this folder is for users.

use std::cell::Cell;

use portcullis_core::time::Nanos;
use portcullis_host::{
    Counter, CountersBy, Error, Exchange, Failure, Flow, Instance, Metrics, Phase, Plugin,
    PredictableNumbers, SteadyClock, TableMetrics, TableSpec, Tables,
};
pub use rate_limit_policy::RateLimit as Policy;
use rate_limit_policy::{
    ChargeEvents, Decision, Evaluation, LimitEvents, LimitId, Reason, SHADOW_HEADER,
};

/// The plugin.
#[derive(Debug)]
pub struct RateLimit {
    instance: Instance<Policy>,
    clock: SteadyClock,
    tables: Tables,
    /// By limit.
    counters: Vec<Counters>,
    /// `None` if no reply needs them.
    numbers: Option<PredictableNumbers>,
}

#[derive(Debug)]
struct Counters {
    admitted: Counter,
    near_limit: Counter,
    denied: CountersBy<Reason>,
    shadow_denied: CountersBy<Reason>,
    errors: Counter,
    forgiven: Counter,
    table: TableMetrics,
}

impl Plugin for RateLimit {
    type Policy = Policy;
    /// The evaluation of the request; `None` if this plugin has not seen it.
    type Stream = Option<Evaluation>;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let counters: Vec<Counters> = instance
            .limits()
            .map(|limit| Counters::define(&metrics.with("limit", limit.as_str())))
            .collect();
        let specs = instance
            .tables()
            .zip(&counters)
            .map(|(table, counters)| TableSpec {
                identity: table.identity,
                metrics: counters.table,
            });
        Self {
            clock: SteadyClock::open(),
            tables: instance.open_tables(specs),
            numbers: instance.needs_random().then(PredictableNumbers::seeded),
            instance,
            counters,
        }
    }

    fn sees_end(&self) -> bool {
        self.instance.needs_end()
    }

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    /// Once a response has begun, the request has been decided: the error is counted, and the response passes.
    fn on_error(&self, _: &mut Option<Evaluation>, exchange: &mut Exchange, _: Failure) -> Flow {
        for counters in &self.counters {
            counters.errors.increment();
        }
        let reply = self.instance.on_error(self.random());
        let reply = reply.filter(|_| exchange.phase() == Phase::Request);
        reply.map_or(Flow::Continue, Flow::Reply)
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let needs = self.instance.needs();
        let now = exchange.now(self.clock)?;
        let (attributes, headers) = exchange.request_with(needs)?;
        let subject = attributes.subject(headers);
        let request = attributes.request(&subject);
        let tables = &mut self.tables.at(now);
        let evaluation = self.instance.on_request(&request, now, tables);
        self.count(&evaluation);

        if evaluation.is_denied()
            && let Some(reply) = self.instance.reply(&evaluation, self.random())
        {
            self.instance.log_denial(&reply);
            *stream = Some(evaluation);
            return Ok(Flow::Reply(reply));
        }
        for mark in self.instance.shadow_marks(&evaluation) {
            exchange.request()?.append(SHADOW_HEADER.into(), mark);
        }
        *stream = Some(evaluation);
        Ok(Flow::Continue)
    }

    fn on_response(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let Some(evaluation) = stream.as_mut().filter(|_| self.instance.needs_response()) else {
            return Ok(Flow::Continue);
        };
        // Without anything to read, nothing is charged, and the time does not matter.
        let (now, response) = match self.instance.reads_response() {
            true => (exchange.now(self.clock)?, exchange.response()?),
            false => (Nanos::ZERO, exchange.response_to_write()?),
        };
        let tables = &mut self.tables.at(now);
        let events = self.instance.on_response(evaluation, response, now, tables);
        self.count_charges(events);
        Ok(Flow::Continue)
    }

    fn on_trailers(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let Some(evaluation) = stream.as_mut().filter(|_| self.instance.needs_trailers()) else {
            return Ok(());
        };
        let now = exchange.now(self.clock)?;
        let tables = &mut self.tables.at(now);
        let trailers = exchange.trailers()?;
        let events = self.instance.on_trailers(evaluation, trailers, now, tables);
        self.count_charges(events);
        Ok(())
    }

    fn on_log(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let Some(evaluation) = stream.as_mut().filter(|_| self.instance.needs_end()) else {
            return Ok(());
        };
        let now = exchange.now(self.clock)?;
        let tables = &mut self.tables.at(now);
        let refused = Cell::new(None);
        let metadata = |namespace: &str, key: &str| {
            let number = exchange.metadata(namespace, key);
            number.unwrap_or_else(|error| {
                refused.set(Some(error));
                None
            })
        };
        let events = self.instance.on_end(evaluation, metadata, now, tables);
        self.count_charges(events);
        refused.take().map_or(Ok(()), Err)
    }
}

impl RateLimit {
    fn random(&self) -> u64 {
        self.numbers.as_ref().map_or(0, PredictableNumbers::next)
    }

    fn count_charges(&self, events: ChargeEvents) {
        for (limit, events) in events {
            if let Some(counters) = self.counters(limit) {
                counters.count_events(events);
            }
        }
    }

    fn count(&self, evaluation: &Evaluation) {
        for check in evaluation.checks() {
            let Some(counters) = self.counters(check.limit()) else {
                continue;
            };
            match check.decision() {
                Decision::Admitted => counters.admitted.increment(),
                Decision::Denied(reason) => counters.denied.increment(reason),
                Decision::ShadowDenied(reason) => counters.shadow_denied.increment(reason),
                Decision::Released | Decision::Uncounted => {}
            }
            if check.is_near_limit() {
                counters.near_limit.increment();
            }
            if check.is_error() {
                counters.errors.increment();
            }
            counters.count_events(check.events());
        }
    }

    fn counters(&self, limit: LimitId) -> Option<&Counters> {
        self.counters.get(limit.index())
    }
}

impl Counters {
    fn define(metrics: &Metrics) -> Self {
        Self {
            admitted: metrics.counter("admitted"),
            near_limit: metrics.counter("near_limit"),
            denied: metrics.counters_by("reason", "denied"),
            shadow_denied: metrics.counters_by("reason", "shadow_denied"),
            errors: metrics.counter("errors"),
            forgiven: metrics.counter("forgiven"),
            table: metrics.table(),
        }
    }

    fn count_events(&self, events: LimitEvents) {
        self.table.count(events.table);
        self.forgiven.add(events.forgiven);
    }
}
