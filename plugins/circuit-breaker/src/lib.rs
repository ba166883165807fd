//! The wiring of [`circuit_breaker_policy`] to Envoy.
//!
//! The policy's documentation is the specification; the README in this folder is for users.

mod counters;
mod retired;
mod stream;

use std::cell::Cell;

pub use circuit_breaker_policy::CircuitBreaker as Policy;
use circuit_breaker_policy::{Admission, Arrival, BreakerId, Effects, SHADOW_HEADER, snapshot};
use portcullis_core::breaker_snapshot::{TableMetadata, value_name};
use portcullis_core::matcher::Subject;
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;
use portcullis_host::{
    Error, Exchange, Failure, Flow, Instance, Phase, Plugin, SharedValue, SteadyClock, TableSpec,
    Tables,
};

use counters::Counters;
use stream::EnvoyStream;

/// The plugin.
#[derive(Debug)]
pub struct CircuitBreaker {
    instance: Instance<Policy>,
    clock: SteadyClock,
    tables: Tables,
    breakers: Vec<Breaker>,
    /// Whether Envoy has considered a client internal. From then on the plugin reads the headers of requests, because
    /// internal clients can choose timeouts in them.
    has_internal_clients: Cell<bool>,
}

/// What a breaker has in Envoy, apart from its table.
#[derive(Debug)]
struct Breaker {
    table: TableMetadata,
    snapshot: SharedValue,
    counters: Counters,
}

impl Plugin for CircuitBreaker {
    type Policy = Policy;
    type Stream = Admission;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let breakers: Vec<Breaker> = instance
            .breakers()
            .zip(instance.tables())
            .map(|(breaker, table)| Breaker {
                table,
                snapshot: instance.shared_value(&value_name(breaker.as_str())),
                counters: Counters::define(&metrics, breaker.as_str()),
            })
            .collect();
        let specs = breakers.iter().map(|breaker| TableSpec {
            identity: breaker.table.identity,
            metrics: breaker.counters.table,
        });
        let tables = instance.open_tables(specs);
        for breaker in &breakers {
            let table = breaker.table;
            let begun = breaker
                .snapshot
                .update(|bytes| snapshot::begin(bytes, table));
            breaker.counters.add_to_gauges(begun);
        }
        retired::retire(&instance, &metrics);
        Self {
            has_internal_clients: Cell::new(false),
            clock: SteadyClock::open(),
            tables,
            instance,
            breakers,
        }
    }

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    const NEEDS_STREAM_END: bool = true;

    /// In the request phase, the policy may reject. Later, the error is counted and the response passes.
    fn on_error(&self, _: &mut Admission, exchange: &mut Exchange, _: Failure) -> Flow {
        for breaker in &self.breakers {
            breaker.counters.errors.increment();
        }
        let reply = self.instance.on_error();
        let reply = reply.filter(|_| exchange.phase() == Phase::Request);
        reply.map_or(Flow::Continue, Flow::reply)
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<Flow, Error> {
        let mut needs = self.instance.needs();
        needs.headers |= self.has_internal_clients.get();
        let now = exchange.now(self.clock)?;
        let arrival = Arrival {
            is_complete: exchange.is_request_complete(),
            has_headers: needs.headers,
        };
        let (attributes, headers) = exchange.request_with(needs)?;
        let subject = attributes.subject(headers);
        if self.instance.is_for_status(&subject) {
            return Ok(Flow::reply(self.status(&subject, now)));
        }
        let request = attributes.request(&subject);
        *stream = self
            .instance
            .on_request(&request, arrival, now, &mut self.tables.at(now));
        for check in stream.checks() {
            self.counters(check.breaker(), |counters| counters.count_check(check));
            for effects in check.effects() {
                self.apply(check.breaker(), effects);
            }
        }
        if stream.is_rejected() {
            let Some(reply) = self.instance.reply(stream, exchange.request()?) else {
                return Ok(Flow::Continue);
            };
            self.instance.log_denial(&reply);
            return Ok(Flow::reply(reply));
        }
        for mark in self.instance.shadow_marks(stream) {
            exchange.request()?.append(SHADOW_HEADER.into(), mark);
        }
        for (breaker, state) in self.instance.circuit_states(stream) {
            if let Some(breaker) = self.breakers.get(breaker.index()) {
                exchange.hand_over(&breaker.snapshot, state);
            }
        }
        Ok(Flow::Continue)
    }

    fn on_response(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<Flow, Error> {
        if !stream.needs_response() {
            return Ok(Flow::Continue);
        }
        let now = exchange.now(self.clock)?;
        self.instance.on_response(stream, exchange.response()?, now);
        let may_fall_back = self.instance.may_fall_back(stream);
        if !may_fall_back && !stream.needs_early_success() {
            return Ok(Flow::Continue);
        }
        let mut envoy = EnvoyStream::new(exchange);
        let fallback = match may_fall_back {
            true => self.instance.fallback(stream, &mut envoy),
            false => None,
        };
        if fallback.is_none() && stream.needs_early_success() {
            let mut tables = self.tables.at(now);
            let counted = self
                .instance
                .on_early_success(stream, &mut envoy, now, &mut tables);
            self.apply_all(&counted);
        }
        envoy.finish()?;
        let Some((breaker, reply)) = fallback else {
            return Ok(Flow::Continue);
        };
        self.counters(breaker, |counters| counters.fallbacks.increment());
        Ok(Flow::reply(reply))
    }

    fn on_request_end(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<(), Error> {
        if stream.needs_request_end() {
            let now = exchange.now(self.clock)?;
            let mut tables = self.tables.at(now);
            let delta = self.instance.on_request_complete(stream, now, &mut tables);
            self.apply_all(&delta);
        }
        Ok(())
    }

    fn on_trailers(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<(), Error> {
        if stream.needs_response() {
            self.instance.on_trailers(stream, exchange.trailers()?);
        }
        Ok(())
    }

    fn on_log(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<(), Error> {
        if !stream.needs_response() {
            return Ok(());
        }
        let mut envoy = EnvoyStream::new(exchange);
        let now = exchange.now(self.clock)?;
        let records = self
            .instance
            .on_log(stream, &mut envoy, now, &mut self.tables.at(now));
        for record in records.iter() {
            if record.lacks_headers {
                self.has_internal_clients.set(true);
            }
            self.counters(record.breaker, |counters| counters.count_record(record));
            self.apply(record.breaker, &record.effects);
        }
        envoy.finish()
    }
}

impl CircuitBreaker {
    /// Counts side effects on a circuit, and records them in the snapshot.
    fn apply(&self, breaker: BreakerId, effects: &Effects) {
        let Some(breaker) = self.breakers.get(breaker.index()) else {
            return;
        };
        breaker.counters.count_effects(effects);
        for change in &effects.changes {
            let identity = breaker.table.identity;
            let updated = breaker
                .snapshot
                .update(|bytes| snapshot::update(bytes, identity, change));
            breaker.counters.add_to_gauges(updated);
        }
    }

    fn apply_all(&self, effects: &[(BreakerId, Effects)]) {
        for (breaker, effects) in effects {
            self.apply(*breaker, effects);
        }
    }

    fn counters(&self, breaker: BreakerId, count: impl FnOnce(&Counters)) {
        if let Some(breaker) = self.breakers.get(breaker.index()) {
            count(&breaker.counters);
        }
    }

    fn status(&self, subject: &Subject<'_>, now: Nanos) -> Reply {
        let snapshots = self.breakers.iter().map(|breaker| breaker.snapshot.read());
        let snapshots: Vec<_> = snapshots.map(Result::unwrap_or_default).collect();
        self.instance
            .status(subject, &snapshots, now, &mut self.tables.at(now))
    }
}
