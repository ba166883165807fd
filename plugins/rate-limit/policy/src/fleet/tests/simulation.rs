//! A fleet of proxies and one service, with a network between them that delays and loses messages.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use portcullis_core::time::Nanos;
use rate_limit_policy::fleet::lease::{Answer, Lease, Leases, Refusal, Step, Take, Taken, Ticket};

use super::random::Random;
use super::service::{Processing, Service};

/// The time of the service when a simulation starts: the beginning of an hour.
pub(crate) const START: Nanos = Nanos::from_secs(1_700_000_000 / 3_600 * 3_600);

/// Times and losses of the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// The time of a message, in each direction.
    pub(crate) latency: (Nanos, Nanos),
    /// The time between the two readings of the service's clock.
    pub(crate) processing: (Nanos, Nanos),
    /// The probability that a call does not arrive.
    pub(crate) lost_calls: f64,
    /// The probability that an answer does not arrive.
    pub(crate) lost_answers: f64,
    /// Whether answers still arrive after the timeout.
    pub(crate) late_answers: bool,
}

/// A proxy, with a clock of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxy {
    ahead: Nanos,
    faster: i64,
    leases: HashMap<u64, Lease>,
    waiting: HashMap<u64, Vec<Waiting>>,
}

impl Proxy {
    /// A proxy whose clock is ahead of the service's at the start, and runs faster by this many millionths.
    pub(crate) fn new(ahead: Nanos, faster: i64) -> Self {
        Self {
            ahead,
            faster,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    cost: u32,
    since: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    proxy: usize,
    key: u64,
    /// `None` without leases: a call for this many hits.
    ticket: Option<Ticket>,
    hits: u32,
    since: Nanos,
    is_over: bool,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Request { proxy: usize, key: u64, cost: u32 },
    Arrives(usize),
    Leaves(usize, Processing),
    Returns(usize, u64, bool, Answer),
    TimesOut(usize),
    GivesBack(usize, u64, Taken),
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Admitted cost, by key and window of the service.
    pub(crate) admitted: HashMap<(u64, u64), u64>,
    pub(crate) requests: u64,
    pub(crate) passed: u64,
    pub(crate) denied: u64,
    /// Requests that no answer reached in time.
    pub(crate) undecided: u64,
    /// Requests that waited for an answer, and how long.
    pub(crate) waited: u64,
    pub(crate) waiting_time: Nanos,
    /// Tokens that were counted and could not be used.
    pub(crate) wasted: u64,
    /// Hits of granted calls whose answer did not arrive in time.
    pub(crate) lost: u64,
    pub(crate) calls: u64,
}

pub(crate) struct Fleet {
    pub(crate) service: Service,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) totals: Totals,
    pub(crate) now: Nanos,
    /// `None`: each request makes a call.
    leases: Option<Leases>,
    timeout: Nanos,
    network: Network,
    random: Random,
    /// The part of the requests that another limit denies after this one has admitted them.
    pub(crate) returned: f64,
    queue: BinaryHeap<Reverse<(Nanos, usize)>>,
    events: Vec<Event>,
    free: Vec<usize>,
    calls: Vec<Call>,
}

impl Fleet {
    pub(crate) fn new(
        service: Service,
        proxies: Vec<Proxy>,
        leases: Option<Leases>,
        timeout: Nanos,
        network: Network,
        seed: u64,
    ) -> Self {
        Self {
            service,
            proxies,
            totals: Totals::default(),
            now: START,
            leases,
            timeout,
            network,
            random: Random(seed),
            returned: 0.0,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// The time on the clock of a proxy.
    fn clock(&self, proxy: usize) -> Nanos {
        let Proxy { ahead, faster, .. } = &self.proxies[proxy];
        let elapsed = i128::from((self.now - START).get());
        let gained = elapsed * i128::from(*faster) / 1_000_000;
        START + *ahead + Nanos::new((elapsed + gained) as u64)
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        let slot = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(slot) {
            Some(place) => *place = event,
            None => self.events.push(event),
        }
        self.queue.push(Reverse((at, slot)));
    }

    /// Sends a request to a proxy at this time.
    pub(crate) fn send(&mut self, at: Nanos, proxy: usize, key: u64, cost: u32) {
        self.schedule(at, Event::Request { proxy, key, cost });
    }

    /// Lets everything happen until this time.
    pub(crate) fn run_until(&mut self, end: Nanos) {
        while let Some(Reverse((at, slot))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.free.push(slot);
            self.now = self.now.max(at);
            self.happen(self.events[slot]);
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request { proxy, key, cost } => {
                self.totals.requests += 1;
                let since = self.now;
                self.serve(proxy, key, Waiting { cost, since });
            }
            Event::Arrives(call) => {
                let Call { key, hits, .. } = self.calls[call];
                let processing = self.service.begin(key, hits, self.now);
                let at = self.now + self.random.within(self.network.processing);
                self.schedule(at, Event::Leaves(call, processing));
            }
            Event::Leaves(call, processing) => {
                let (is_granted, answer) = self.service.finish(processing, self.now);
                if self.random.unit() < self.network.lost_answers {
                    let hits = self.calls[call].hits;
                    self.totals.lost += if is_granted { u64::from(hits) } else { 0 };
                    return;
                }
                let at = self.now + self.random.within(self.network.latency);
                self.schedule(
                    at,
                    Event::Returns(call, processing.window, is_granted, answer),
                );
            }
            Event::Returns(call, window, is_granted, answer) => {
                self.on_answer(call, window, is_granted, answer);
            }
            Event::TimesOut(call) => {
                if !std::mem::replace(&mut self.calls[call].is_over, true) {
                    self.on_timeout(call);
                }
            }
            Event::GivesBack(proxy, key, taken) => {
                self.step(proxy, key, |leases, lease, now| {
                    leases.give_back(lease, taken, now)
                });
            }
        }
    }

    fn step<T>(
        &mut self,
        proxy: usize,
        key: u64,
        step: impl FnOnce(&Leases, Lease, Nanos) -> Step<T>,
    ) -> Option<T> {
        let now = self.clock(proxy);
        let leases = self.leases.as_ref()?;
        let lease = self.proxies[proxy].leases.entry(key).or_default();
        let Step {
            lease: new,
            outcome,
            wasted,
        } = step(leases, *lease, now);
        *lease = new;
        self.totals.wasted += u64::from(wasted);
        Some(outcome)
    }

    fn serve(&mut self, proxy: usize, key: u64, request: Waiting) {
        let cost = request.cost;
        let age = self.now - request.since;
        let take = self.step(proxy, key, |leases, lease, now| {
            leases.take(lease, cost, true, now - age, now)
        });
        match take {
            None => self.call(proxy, key, None, request),
            Some(Take::Taken(taken)) => self.pass(proxy, key, None, taken, request),
            Some(Take::TakenAndRenew(taken, ticket)) => {
                self.pass(proxy, key, None, taken, request);
                self.call(proxy, key, Some(ticket), request);
            }
            Some(Take::Ask(ticket)) => self.call(proxy, key, Some(ticket), request),
            Some(Take::WaitForOther { .. }) => {
                let waiting = self.proxies[proxy].waiting.entry(key).or_default();
                waiting.push(request);
            }
            Some(Take::Denied { .. }) => self.totals.denied += 1,
            Some(Take::NoService) => self.totals.undecided += 1,
        }
    }

    /// A request passes. `window` is that of its own call; without one, the time decides.
    fn pass(
        &mut self,
        proxy: usize,
        key: u64,
        window: Option<u64>,
        taken: Taken,
        request: Waiting,
    ) {
        if self.now > request.since {
            self.totals.waited += 1;
            self.totals.waiting_time += self.now - request.since;
        }
        if self.returned > 0.0 && self.random.unit() < self.returned {
            let at = self.now + Nanos::new(self.random.below(Nanos::SECOND.get()));
            self.schedule(at, Event::GivesBack(proxy, key, taken));
            return;
        }
        self.totals.passed += 1;
        let window = window.unwrap_or(self.service.window(self.now));
        *self.totals.admitted.entry((key, window)).or_default() += u64::from(taken.cost);
    }

    fn call(&mut self, proxy: usize, key: u64, ticket: Option<Ticket>, request: Waiting) {
        self.totals.calls += 1;
        let call = self.calls.len();
        self.calls.push(Call {
            proxy,
            key,
            ticket,
            hits: ticket.map_or(request.cost, |ticket| ticket.hits),
            since: request.since,
            is_over: false,
        });
        self.schedule(self.now + self.timeout, Event::TimesOut(call));
        if self.random.unit() >= self.network.lost_calls {
            let at = self.now + self.random.within(self.network.latency);
            self.schedule(at, Event::Arrives(call));
        }
    }

    fn on_answer(&mut self, at: usize, window: u64, is_granted: bool, answer: Answer) {
        let call = self.calls[at];
        let Call {
            proxy,
            key,
            ticket,
            hits,
            ..
        } = call;
        let is_late = std::mem::replace(&mut self.calls[at].is_over, true);
        let cost = ticket.map_or(hits, |ticket| ticket.cost);
        if is_late {
            // The request was decided at the timeout. A host may still report the answer.
            self.totals.lost += if is_granted { u64::from(hits) } else { 0 };
            if let (Some(ticket), true, true) = (ticket, is_granted, self.network.late_answers) {
                let grant = self.step(proxy, key, |leases, lease, now| {
                    leases.granted(lease, ticket, answer, now)
                });
                assert_eq!(grant.map(|grant| grant.added), Some(0));
                self.totals.wasted -= u64::from(hits - cost);
            }
            return;
        }
        let request = Waiting {
            cost,
            since: call.since,
        };
        match (ticket, is_granted) {
            (None, true) => {
                let taken = Taken {
                    cost,
                    ..Taken::default()
                };
                self.pass(proxy, key, Some(window), taken, request);
            }
            (None, false) => self.totals.denied += 1,
            (Some(ticket), true) => {
                let grant = self.step(proxy, key, |leases, lease, now| {
                    leases.granted(lease, ticket, answer, now)
                });
                if let (Some(grant), true) = (grant, cost > 0) {
                    self.pass(proxy, key, Some(window), grant.taken, request);
                }
            }
            (Some(ticket), false) => {
                let random = self.random.next();
                let refusal = self.step(proxy, key, |leases, lease, now| {
                    leases.refused(lease, ticket, answer, random, now)
                });
                match refusal {
                    Some(Refusal::AskLess(less)) => self.call(proxy, key, Some(less), request),
                    _ if cost > 0 => self.totals.denied += 1,
                    _ => {}
                }
            }
        }
        self.wake(proxy, key);
    }

    fn on_timeout(&mut self, at: usize) {
        let Call {
            proxy, key, ticket, ..
        } = self.calls[at];
        if ticket.is_none_or(|ticket| ticket.cost > 0) {
            self.totals.undecided += 1;
        }
        if let Some(ticket) = ticket {
            self.step(proxy, key, |leases, lease, now| {
                leases.failed(lease, ticket, now)
            });
        }
        self.wake(proxy, key);
    }

    /// Requests that waited for another one's call try again, unless their time is over.
    fn wake(&mut self, proxy: usize, key: u64) {
        let waiting = self.proxies[proxy].waiting.remove(&key);
        for request in waiting.unwrap_or_default() {
            match self.now - request.since >= self.timeout {
                true => self.totals.undecided += 1,
                false => self.serve(proxy, key, request),
            }
        }
    }

    /// The state of a key in a proxy, and the time there.
    pub(crate) fn lease(&self, proxy: usize, key: u64) -> (Lease, Nanos) {
        let lease = self.proxies[proxy].leases.get(&key).copied();
        (lease.unwrap_or_default(), self.clock(proxy))
    }

    /// The tokens that all proxies hold.
    pub(crate) fn held(&self) -> u64 {
        let leases = self.proxies.iter().flat_map(|proxy| proxy.leases.values());
        leases.map(|lease| u64::from(lease.tokens())).sum()
    }
}
