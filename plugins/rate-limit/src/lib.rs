//! The wiring of [`rate_limit_policy`] to Envoy.
//!
//! The policy's documentation is the specification; the README in this folder is for users.

mod counters;
mod fleet;
mod holds;

use std::cell::Cell;
use std::time::Duration;

use portcullis_core::policy::Policy as _;
use portcullis_core::time::Nanos;
use portcullis_host::{
    CallId, CallResponse, Error, Exchange, Failure, Flow, GrpcError, Instance, Phase, Plugin,
    PredictableNumbers, SteadyClock, TableSpec, Tables, Worker,
};
pub use rate_limit_policy::RateLimit as Policy;
use rate_limit_policy::{ChargeEvents, Due, Evaluation, Hold, LimitId, SHADOW_HEADER};

use counters::Counters;
use fleet::{Fleet, FleetAt, Sent, Wait};
use holds::SentCommit;

/// The plugin.
#[derive(Debug)]
pub struct RateLimit {
    instance: Instance<Policy>,
    clock: SteadyClock,
    tables: Tables,
    /// By limit.
    counters: Vec<Counters>,
    /// `None` if nothing needs them.
    numbers: Option<PredictableNumbers>,
    /// `None` if no limit has a fleet.
    fleet: Option<Fleet>,
}

/// What the plugin knows about one stream.
#[derive(Debug, Default)]
pub struct Stream {
    /// The evaluation of the request; `None` if this plugin has not seen it.
    evaluation: Option<Evaluation>,
    /// `Some` while the request waits.
    wait: Option<Wait>,
}

impl Plugin for RateLimit {
    type Policy = Policy;
    type Stream = Stream;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let counters: Vec<Counters> = instance
            .limits()
            .map(|limit| Counters::define(&metrics.with("limit", limit.as_str())))
            .collect();
        let fleet = Fleet::open(&instance, &metrics);
        let own = counters.iter().map(|counters| counters.table);
        let leases = fleet.iter().flat_map(|fleet| fleet.table_metrics());
        let tables = instance.tables().zip(own.chain(leases));
        let specs = tables.map(|(table, metrics)| TableSpec {
            identity: table.identity,
            metrics,
        });
        let needs_random = instance.needs_random() || fleet.is_some();
        Self {
            clock: SteadyClock::open(),
            tables: instance.open_tables(specs),
            numbers: needs_random.then(PredictableNumbers::seeded),
            fleet,
            instance,
            counters,
        }
    }

    fn sees_end(&self) -> bool {
        self.instance.needs_end() || self.fleet.is_some()
    }

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    /// Once a response has begun, the request has been decided: the error is counted, and the response passes.
    fn on_error(&self, stream: &mut Stream, exchange: &mut Exchange, _: Failure) -> Flow {
        // If Envoy does not provide the time, the calls of the request expire by themselves.
        let _ = self.cancel(stream, exchange);
        for counters in &self.counters {
            counters.errors.increment();
        }
        let reply = self.instance.on_error(self.random());
        let reply = reply.filter(|_| exchange.phase() == Phase::Request);
        reply.map_or(Flow::Continue, Flow::reply)
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        // It may need the place again, and must not be refused one because of itself.
        stream.wait = None;
        let evaluation = self.evaluate(&mut stream.evaluation, exchange)?;
        if evaluation.is_pending() {
            let fleet = self.fleet.as_ref();
            stream.wait = fleet.map(|fleet| fleet.wait(&self.instance, evaluation));
            return Ok(Flow::Wait);
        }
        self.count(evaluation);
        if evaluation.is_denied()
            && let Some(reply) = self.instance.reply(evaluation, self.random())
        {
            self.instance.log_denial(&reply);
            return Ok(Flow::reply(reply));
        }
        for mark in self.instance.shadow_marks(evaluation) {
            exchange.request()?.append(SHADOW_HEADER.into(), mark);
        }
        for (name, value) in evaluation.request_headers() {
            exchange.request()?.append(name, value);
        }
        Ok(Flow::Continue)
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        let Some(evaluation) = stream
            .evaluation
            .as_mut()
            .filter(|_| self.instance.needs_response())
        else {
            return Ok(Flow::Continue);
        };
        if !self.instance.reads_response() {
            // Nothing is charged, so the time does not matter.
            let response = exchange.response_to_write()?;
            self.instance.add_to_response(evaluation, response);
            return Ok(Flow::Continue);
        }
        let (now, response) = (exchange.now(self.clock)?, exchange.response()?);
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let events = self
            .instance
            .on_response(evaluation, response, now, tables, services);
        self.count_charges(events);
        Ok(Flow::Continue)
    }

    fn on_trailers(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<(), Error> {
        let Some(evaluation) = stream
            .evaluation
            .as_mut()
            .filter(|_| self.instance.needs_trailers())
        else {
            return Ok(());
        };
        let now = exchange.now(self.clock)?;
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let trailers = exchange.trailers()?;
        let events = self
            .instance
            .on_trailers(evaluation, trailers, now, tables, services);
        self.count_charges(events);
        Ok(())
    }

    fn on_log(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<(), Error> {
        self.cancel(stream, exchange)?;
        let Some(evaluation) = stream
            .evaluation
            .as_mut()
            .filter(|_| self.instance.needs_end())
        else {
            return Ok(());
        };
        let now = exchange.now(self.clock)?;
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let refused = Cell::new(None);
        let metadata = |namespace: &str, key: &str| {
            let number = exchange.metadata(namespace, key);
            number.unwrap_or_else(|error| {
                refused.set(Some(error));
                None
            })
        };
        let events = self
            .instance
            .on_end(evaluation, metadata, now, tables, services);
        self.count_charges(events);
        refused.take().map_or(Ok(()), Err)
    }

    fn tick_period(&self) -> Option<Duration> {
        let fleet = self.fleet.as_ref()?;
        let due = fleet.holds.due();
        let is_due = due.is_some_and(|due| self.clock.now().is_ok_and(|now| due <= now));
        Some(if is_due { fleet::BEHIND } else { fleet::PERIOD })
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        if let Some(fleet) = &self.fleet {
            let now = self.clock.now()?;
            fleet.on_tick(worker, now);
            self.commit(fleet, worker, now);
        }
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        self.fleet.as_ref().map_or(0, |_| fleet::MAX_BODY)
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        id: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        let Some(fleet) = &self.fleet else {
            return Ok(());
        };
        if let Some(sent) = response.memo::<SentCommit>() {
            let now = self.clock.now()?;
            self.committed(fleet, sent.hold(), response.grpc_message(), now);
            return Ok(());
        }
        let Some(sent) = response.memo::<Sent>() else {
            return Ok(());
        };
        let call = sent.call();
        let answer = response.grpc_message();
        let now = self.clock.now()?;
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let random = self.random();
        let effect = self
            .instance
            .on_answer(call, answer, random, now, tables, services);
        fleet.log_invalid_headers(call.service(), effect.invalid_headers);
        fleet.log_outage(call.service(), answer.err(), effect.is_out);
        if let Some(hold) = effect.hold {
            fleet.holds.keep(hold);
            self.commit(fleet, worker, now);
        }
        if effect.wakes_caller {
            worker.wake_caller(id);
        }
        if effect.wakes_others && fleet::others_wait() {
            worker.wake();
        }
        Ok(())
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
            if let Some(counters) = self.counters(check.limit()) {
                counters.count(check);
            }
        }
    }

    fn counters(&self, limit: LimitId) -> Option<&Counters> {
        self.counters.get(limit.index())
    }

    fn services(&self, now: Nanos) -> FleetAt<'_> {
        FleetAt::new(self.fleet.as_ref(), now)
    }

    /// Begins or resumes the evaluation of a request, and makes its calls.
    fn evaluate<'a>(
        &self,
        evaluation: &'a mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<&'a mut Evaluation, Error> {
        let now = exchange.now(self.clock)?;
        // A call that was not sent is answered, so this ends: a request makes few calls.
        loop {
            let judged = self.judge(evaluation, exchange, now)?;
            let Some(fleet) = &self.fleet else {
                break;
            };
            if self.send_calls(fleet, judged, exchange, now) || !judged.is_pending() {
                break;
            }
        }
        // It is there.
        Ok(evaluation.get_or_insert_default())
    }

    fn judge<'a>(
        &self,
        evaluation: &'a mut Option<Evaluation>,
        exchange: &mut Exchange,
        now: Nanos,
    ) -> Result<&'a mut Evaluation, Error> {
        if let (Some(fleet), Some(_)) = (&self.fleet, &*evaluation) {
            fleet.refresh();
        }
        let needs = self.instance.needs();
        let (attributes, headers) = exchange.request_with(needs)?;
        let subject = attributes.subject(headers);
        let request = attributes.request(&subject);
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let judged = match evaluation.take() {
            Some(pending) => self
                .instance
                .resume(pending, &request, now, tables, services),
            None => self.instance.on_request(&request, now, tables, services),
        };
        Ok(evaluation.insert(judged))
    }

    /// Sends the calls of an evaluation; false if one was not sent.
    fn send_calls(
        &self,
        fleet: &Fleet,
        evaluation: &mut Evaluation,
        exchange: &mut Exchange,
        now: Nanos,
    ) -> bool {
        let mut are_sent = true;
        for call in evaluation.take_calls() {
            if let Err(error) = fleet.send(&self.instance, &call, exchange) {
                exchange.note(Policy::NAME, error);
                let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
                let (random, not_sent) = (self.random(), Err::<&[u8], _>(error));
                let effect = self
                    .instance
                    .on_answer(&call, not_sent, random, now, tables, services);
                let error = Some(GrpcError::NotSent(error));
                fleet.log_outage(call.service(), error, effect.is_out);
                are_sent = false;
            }
        }
        are_sent
    }

    /// Commits holds that are due.
    fn commit(&self, fleet: &Fleet, worker: &mut Worker, now: Nanos) {
        for _ in 0..holds::SLICE {
            let Some(mut hold) = fleet.holds.take_due(now) else {
                return;
            };
            let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
            match self.instance.commit(&mut hold, now, tables, services) {
                Due::Commit(message) => {
                    let sent = holds::send(&self.instance, hold.clone(), &message, worker);
                    if let Err(error) = sent {
                        self.committed(fleet, &hold, Err(GrpcError::NotSent(error)), now);
                    }
                }
                Due::Later => fleet.holds.keep(hold),
                Due::Over => {}
            }
        }
    }

    fn committed(&self, fleet: &Fleet, hold: &Hold, answer: Result<&[u8], GrpcError>, now: Nanos) {
        let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
        let committed = self
            .instance
            .on_commit(hold, answer, self.random(), now, tables, services);
        fleet.log_outage(hold.service(), answer.err(), committed.is_out);
        if let Some(hold) = committed.again {
            fleet.holds.keep(hold);
        }
    }

    /// The request has gone, or waits no longer.
    fn cancel(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<(), Error> {
        stream.wait = None;
        if let Some(evaluation) = stream.evaluation.as_mut().filter(|it| it.is_pending()) {
            let now = exchange.now(self.clock)?;
            let (tables, services) = (&mut self.tables.at(now), &mut self.services(now));
            self.instance.cancel(evaluation, now, tables, services);
            stream.evaluation = None;
        }
        Ok(())
    }
}
