//! The wiring of [`circuit_breaker_policy`] to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

mod counters;
mod roster;
mod stream;

use std::cell::Cell;

pub use circuit_breaker_policy::CircuitBreaker as Policy;
use circuit_breaker_policy::board::{self, About};
use circuit_breaker_policy::{Admission, Arrival, BreakerId, Effects, SHADOW_HEADER};
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::Subject;
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;
use portcullis_host::{
    Error, Exchange, Failure, Flow, Instance, Phase, Plugin, RequestAttributes, SharedValue,
    SteadyClock, TableSpec, Tables,
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
    /// Whether a client that Envoy takes for an internal one has been seen. From then on the headers of
    /// requests are read, because such clients can choose timeouts in them.
    has_internal_clients: Cell<bool>,
}

/// What each breaker has in Envoy beside its table.
#[derive(Debug)]
struct Breaker {
    about: About,
    board: SharedValue,
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
            .map(|(breaker, about)| Breaker {
                about,
                board: instance.shared_value(&format!("{breaker}/board")),
                counters: Counters::define(&metrics, breaker.as_str()),
            })
            .collect();
        let specs = breakers.iter().map(|breaker| TableSpec {
            identity: breaker.about.identity,
            metrics: breaker.counters.table,
        });
        let tables = instance.open_tables(specs);
        for breaker in &breakers {
            let about = breaker.about;
            let opened = breaker.board.update(|bytes| board::open(bytes, about));
            breaker.counters.move_gauges(opened);
        }
        roster::retire_others(&instance, &metrics);
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

    /// Once a response has begun, the request was judged: the error is counted, and the response passes.
    fn on_error(&self, _: &mut Admission, exchange: &mut Exchange, _: Failure) -> Flow {
        for breaker in &self.breakers {
            breaker.counters.errors.increment();
        }
        let reply = self.instance.on_error();
        let reply = reply.filter(|_| exchange.phase() == Phase::Request);
        reply.map_or(Flow::Continue, Flow::Reply)
    }

    fn on_request(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<Flow, Error> {
        if !self.instance.needs_request() {
            return Ok(Flow::Continue);
        }
        let needs = self.instance.needs();
        let attributes = RequestAttributes::fetch(exchange, needs)?;
        let now = exchange.now(self.clock)?;
        let nothing = HeaderMap::default();
        let arrival = Arrival {
            is_complete: exchange.is_request_complete(),
            has_headers: needs.headers || self.has_internal_clients.get(),
        };
        let headers = match arrival.has_headers {
            true => exchange.request()?,
            false => &nothing,
        };
        let subject = Subject::new(headers, attributes.route());
        if self.instance.is_for_status(&subject) {
            return Ok(Flow::Reply(self.status(&subject, now)));
        }
        let request = attributes.request(&subject);
        *stream = self
            .instance
            .on_request(&request, arrival, now.get(), &mut self.tables.at(now));
        for check in stream.checks() {
            self.counters(check.breaker(), |counters| counters.count_check(check));
            for effects in check.effects() {
                self.note(check.breaker(), effects);
            }
        }
        if stream.is_rejected() {
            let Some(reply) = self.instance.reply(stream, exchange.request()?) else {
                return Ok(Flow::Continue);
            };
            self.instance.log_denial(&reply);
            return Ok(Flow::Reply(reply));
        }
        for mark in self.instance.shadow_marks(stream) {
            exchange.request()?.append(SHADOW_HEADER.into(), mark);
        }
        Ok(Flow::Continue)
    }

    fn on_response(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<Flow, Error> {
        if !stream.needs_response() {
            return Ok(Flow::Continue);
        }
        let now = exchange.now(self.clock)?;
        self.instance
            .on_response(stream, exchange.response()?, now.get());
        let may_fall_back = self.instance.may_fall_back(stream);
        if !may_fall_back && !stream.needs_good_news() {
            return Ok(Flow::Continue);
        }
        let mut envoy = EnvoyStream::new(exchange);
        let fallback = match may_fall_back {
            true => self.instance.fallback(stream, &mut envoy),
            false => None,
        };
        if fallback.is_none() && stream.needs_good_news() {
            let mut tables = self.tables.at(now);
            let counted = self
                .instance
                .on_good_news(stream, &mut envoy, now.get(), &mut tables);
            self.note_all(&counted);
        }
        envoy.finish()?;
        let Some((breaker, reply)) = fallback else {
            return Ok(Flow::Continue);
        };
        self.counters(breaker, |counters| counters.fallbacks.increment());
        Ok(Flow::Reply(reply))
    }

    fn on_request_end(&self, stream: &mut Admission, exchange: &mut Exchange) -> Result<(), Error> {
        if stream.needs_request_end() {
            let now = exchange.now(self.clock)?;
            let mut tables = self.tables.at(now);
            let moved = self
                .instance
                .on_request_complete(stream, now.get(), &mut tables);
            self.note_all(&moved);
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
            .on_log(stream, &mut envoy, now.get(), &mut self.tables.at(now));
        for record in records {
            if record.lacks_headers {
                self.has_internal_clients.set(true);
            }
            self.counters(record.breaker, |counters| counters.count_record(&record));
            self.note(record.breaker, &record.effects);
        }
        envoy.finish()
    }
}

impl CircuitBreaker {
    /// Counts what happened to a circuit, and tells it to the board.
    fn note(&self, breaker: BreakerId, effects: &Effects) {
        let Some(breaker) = self.breakers.get(breaker.index()) else {
            return;
        };
        breaker.counters.count_effects(effects);
        for change in &effects.changes {
            let identity = breaker.about.identity;
            let noted = breaker
                .board
                .update(|bytes| board::update(bytes, identity, change));
            breaker.counters.move_gauges(noted);
        }
    }

    fn note_all(&self, effects: &[(BreakerId, Effects)]) {
        for (breaker, effects) in effects {
            self.note(*breaker, effects);
        }
    }

    fn counters(&self, breaker: BreakerId, count: impl FnOnce(&Counters)) {
        if let Some(breaker) = self.breakers.get(breaker.index()) {
            count(&breaker.counters);
        }
    }

    fn status(&self, subject: &Subject<'_>, now: Nanos) -> Reply {
        let boards = self.breakers.iter().map(|breaker| breaker.board.read());
        let boards: Vec<_> = boards.map(Result::unwrap_or_default).collect();
        self.instance
            .status(subject, &boards, now.get(), &mut self.tables.at(now))
    }
}
