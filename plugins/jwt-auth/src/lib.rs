//! The wiring of [`jwt_auth_policy`] to Envoy.
//!
//! The policy's documentation specifies the behaviour; the README in this folder describes the configuration.

mod counters;
mod fetching;
mod wait_slots;

use std::cell::{Cell, RefCell};
use std::time::Duration;

pub use jwt_auth_policy::JwtAuth as Policy;
use jwt_auth_policy::{Decision, Now, State, Verdict, WaitStatus};
use portcullis_core::key::{CLAIMS_PROPERTY, Needs};
use portcullis_core::label::Label as _;
use portcullis_core::time::Nanos;
use portcullis_host::{
    CallId, CallResponse, Error, Exchange, Failure, Flow, Instance, Phase, Plugin,
    SignatureVerifier, SteadyClock, Worker, random, wall_clock,
};
use portcullis_table::Seed;

use counters::Counters;
use fetching::{FetchContext, Fetching};
use wait_slots::{WaitSlot, WaitSlots};

/// The plugin.
#[derive(Debug)]
pub struct JwtAuth {
    instance: Instance<Policy>,
    state: RefCell<State>,
    /// Whether the seed of the caches is random.
    seeded: Result<(), Error>,
    clock: SteadyClock,
    signatures: SignatureVerifier,
    fetching: Fetching,
    counters: Counters,
    wait_slots: WaitSlots,
    /// The earliest end of a wait.
    deadline: Cell<Nanos>,
}

/// No request waits.
const NEVER: Nanos = Nanos::MAX;

impl Plugin for JwtAuth {
    type Policy = Policy;
    /// The slot of the request while it waits.
    type Stream = Option<WaitSlot>;

    fn new(instance: Instance<Policy>) -> Self {
        let metrics = instance.metrics();
        let counters = Counters::define(&metrics, &instance);
        let seed = random();
        let signatures = SignatureVerifier::probe();
        if !signatures.is_reliable() {
            log::info!(
                "portcullis jwt_auth: this Envoy verifies no signatures for modules; the plugin verifies \
                 them in WebAssembly, which takes about ten times as long"
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
            wait_slots: WaitSlots::new(counters.waiting),
            deadline: Cell::new(NEVER),
            counters,
            instance,
        }
    }

    const SEES_RESPONSES: bool = false;
    const SEES_END: bool = false;

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(
        &self,
        slot: &mut Option<WaitSlot>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let decision = self.decide(slot, exchange)?;
        if let Verdict::Wait { until } = decision.verdict() {
            self.deadline.set(self.deadline.get().min(until));
            return Ok(Flow::Wait);
        }
        *slot = None;
        self.counters.count(&decision);
        self.log(&decision);
        if let Some(reply) = self.instance.reply(&decision) {
            return Ok(Flow::reply(reply));
        }
        self.instance.apply(&decision, exchange.request()?);
        if let Some(claims) = decision.claims() {
            exchange.set_filter_state(CLAIMS_PROPERTY, claims.clone());
        }
        Ok(Flow::Continue)
    }

    fn on_error(
        &self,
        slot: &mut Option<WaitSlot>,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        if exchange.phase() != Phase::Request {
            return Flow::Continue;
        }
        *slot = None;
        let decision = match (failure, exchange.request()) {
            (Failure::Undecided, Ok(headers)) => {
                let decision = self.instance.on_error();
                // Nothing passes with claim headers that a client forged.
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
        reply.map_or(Flow::Continue, Flow::reply)
    }

    fn on_response(&self, _: &mut Option<WaitSlot>, _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn tick_period(&self) -> Option<Duration> {
        let period = self.instance.poll_period();
        period
            .filter(|_| self.instance.needs_request())
            .map(Duration::from)
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        let context = self.fetch_context()?;
        self.fetching.on_tick(worker, &context);
        if context.now >= self.deadline.get() {
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
        let context = self.fetch_context()?;
        self.fetching.on_answer(worker, call, response, &context);
        Ok(())
    }
}

impl JwtAuth {
    fn decide(
        &self,
        slot: &mut Option<WaitSlot>,
        exchange: &mut Exchange,
    ) -> Result<Decision, Error> {
        let needs = Needs {
            headers: true,
            ..self.instance.needs()
        };
        // With a predictable seed, an attacker could craft a token that the cache takes for a valid one.
        self.seeded?;
        // Only fetched documents have an age on this clock, and requests wait only for those.
        let steady = match self.fetching.is_idle() {
            true => Nanos::ZERO,
            false => exchange.now(self.clock)?,
        };
        let (attributes, headers) = exchange.request_with(needs)?;
        let subject = attributes.subject(headers);
        let now = Now {
            wall: wall_clock()?,
            steady,
        };
        let wait_status = match slot {
            Some(slot) => WaitStatus::Waited(steady - slot.since),
            None if self.wait_slots.are_taken() => WaitStatus::NoSlot,
            None => WaitStatus::Waited(Nanos::ZERO),
        };
        let decision = self.instance.decide(
            &subject,
            &mut self.state.borrow_mut(),
            now,
            wait_status,
            &self.signatures,
        );
        if let Verdict::Wait { .. } = decision.verdict() {
            slot.get_or_insert_with(|| self.wait_slots.take(steady));
        }
        Ok(decision)
    }

    fn fetch_context(&self) -> Result<FetchContext<'_>, Error> {
        Ok(FetchContext {
            policy: &self.instance,
            state: &self.state,
            now: self.clock.now()?,
        })
    }

    /// Logs the details that the client must not learn. Never logs a token, or any part of one.
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
