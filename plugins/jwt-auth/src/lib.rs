//! The wiring of [`jwt_auth_policy`] to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

mod counters;
mod fetching;
mod waiting;

use std::cell::{Cell, RefCell};
use std::time::Duration;

pub use jwt_auth_policy::JwtAuth as Policy;
use jwt_auth_policy::{Decision, Moment, Patience, State, Verdict};
use portcullis_core::key::{CLAIMS_PROPERTY, Needs};
use portcullis_core::label::Label as _;
use portcullis_core::matcher::Subject;
use portcullis_host::{
    CallId, CallResponse, EnvoySignatures, Error, Exchange, Failure, Flow, Instance, Phase, Plugin,
    RequestAttributes, SteadyClock, Worker, random, wall_clock,
};
use portcullis_table::Seed;

use counters::Counters;
use fetching::{Fetching, News};
use waiting::{Waiting, WaitingRoom};

/// The plugin.
#[derive(Debug)]
pub struct JwtAuth {
    instance: Instance<Policy>,
    state: RefCell<State>,
    /// Whether nobody can predict the seed of the caches.
    seeded: Result<(), Error>,
    clock: SteadyClock,
    signatures: EnvoySignatures,
    fetching: Fetching,
    counters: Counters,
    room: WaitingRoom,
    /// When the first of those who wait has waited for long enough.
    deadline: Cell<u64>,
}

/// No request, and none that waits.
const NEVER: u64 = u64::MAX;

impl Plugin for JwtAuth {
    type Policy = Policy;
    /// Since when the request waits, if it does.
    type Stream = Option<Waiting>;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let counters = Counters::define(&metrics, &instance);
        let seed = random();
        let signatures = EnvoySignatures::probe();
        if !signatures.is_reliable() {
            log::info!(
                "portcullis jwt_auth: this Envoy verifies no signatures for modules; they are \
                 verified in WebAssembly, which takes some ten times as long"
            );
        }
        for (provider, skipped) in instance.skipped_keys() {
            log::warn!("portcullis jwt_auth: keys of {provider}: not used: {skipped}");
        }
        Self {
            state: RefCell::new(instance.state(Seed::new(seed.unwrap_or_default()))),
            seeded: seed.map(|_| ()),
            clock: SteadyClock::open(),
            signatures,
            fetching: Fetching::open(&instance, &metrics),
            room: WaitingRoom::new(counters.waiting),
            deadline: Cell::new(NEVER),
            counters,
            instance,
        }
    }

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    fn on_request(
        &self,
        waiting: &mut Option<Waiting>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if !self.instance.needs_request() {
            return Ok(Flow::Continue);
        }
        let decision = self.decide(waiting, exchange)?;
        if let Verdict::Wait { until } = decision.verdict() {
            self.deadline.set(self.deadline.get().min(until));
            return Ok(Flow::Wait);
        }
        *waiting = None;
        self.counters.count(&decision);
        self.log(&decision);
        if let Some(reply) = self.instance.reply(&decision) {
            return Ok(Flow::Reply(reply));
        }
        self.instance.apply(&decision, exchange.request()?);
        if let Some(claims) = decision.claims() {
            exchange.set_filter_state(CLAIMS_PROPERTY, claims.to_vec());
        }
        Ok(Flow::Continue)
    }

    fn on_error(
        &self,
        waiting: &mut Option<Waiting>,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        if exchange.phase() != Phase::Request {
            return Flow::Continue;
        }
        *waiting = None;
        let decision = match (failure, exchange.request()) {
            (Failure::Undecided, Ok(headers)) => {
                let decision = self.instance.on_error();
                // Whatever passes, passes without made-up claims.
                self.instance.apply(&decision, headers);
                decision
            }
            (Failure::Undecided, Err(_)) | (Failure::NotDone, _) => {
                self.instance.on_refused_change()
            }
        };
        self.counters.count(&decision);
        self.log(&decision);
        let reply = self.instance.reply(&decision);
        reply.map_or(Flow::Continue, Flow::Reply)
    }

    fn on_response(&self, _: &mut Option<Waiting>, _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn tick_period(&self) -> Option<Duration> {
        let period = self
            .instance
            .period()
            .filter(|_| self.instance.needs_request());
        period.map(Duration::from_nanos)
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        let news = self.news()?;
        self.fetching.on_tick(worker, &news);
        if news.now >= self.deadline.get() {
            self.deadline.set(NEVER);
            worker.wake();
        }
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        self.fetching.max_body()
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        let news = self.news()?;
        self.fetching.on_answer(worker, call, response, &news);
        Ok(())
    }
}

impl JwtAuth {
    fn decide(
        &self,
        waiting: &mut Option<Waiting>,
        exchange: &mut Exchange,
    ) -> Result<Decision, Error> {
        let needs = Needs {
            route: self.instance.needs_route(),
            ..Needs::default()
        };
        // With a seed that can be guessed, another token could be made to look like one that was good.
        self.seeded?;
        let attributes = RequestAttributes::fetch(exchange, needs)?;
        // Only what is fetched has an age by this clock, and only for that anybody waits.
        let steady = match self.fetching.is_idle() {
            true => 0,
            false => exchange.now(self.clock)?.get(),
        };
        let subject = Subject::new(exchange.request()?, attributes.route());
        let moment = Moment {
            wall: wall_clock()?.get(),
            steady,
        };
        let patience = match waiting {
            Some(waiting) => Patience::Waited(steady.saturating_sub(waiting.since)),
            None if self.room.is_full() => Patience::Exhausted,
            None => Patience::Waited(0),
        };
        let decision = self.instance.decide(
            &subject,
            &mut self.state.borrow_mut(),
            moment,
            patience,
            &self.signatures,
        );
        if let Verdict::Wait { .. } = decision.verdict() {
            waiting.get_or_insert_with(|| self.room.enter(steady));
        }
        Ok(decision)
    }

    fn news(&self) -> Result<News<'_>, Error> {
        Ok(News {
            policy: &self.instance,
            state: &self.state,
            now: self.clock.now()?.get(),
        })
    }

    /// Tells what the client is not told. Never a token, nor anything that stands in one.
    fn log(&self, decision: &Decision) {
        if let Verdict::Refused(reason) | Verdict::ShadowRefused(reason) = decision.verdict() {
            log::debug!(
                "portcullis jwt_auth \"{}\": rule {}: {} {}",
                self.instance.name(),
                self.instance.rule_name(decision.rule()),
                reason.label(),
                decision.detail()
            );
        }
    }
}
