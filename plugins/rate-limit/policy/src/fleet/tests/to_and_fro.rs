//! A service goes and comes back; what is admitted meanwhile counts.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::outage::{START, TIMEOUT};
use crate::algorithm::{Algorithm, FixedWindow, Gcra, SlidingWindow};
use crate::fleet::lease::{Answer, Debt, Lease, Leases, Life, Refusal, Step, Take, Taken};
use crate::fleet::outage::{Access, Health};
use portcullis_core::time::Nanos;

/// A proxy, its local limiter, and a service that adds and compares.
struct World<A: Algorithm> {
    leases: Leases,
    lease: Lease,
    health: Health,
    local: A,
    local_state: A::State,
    is_up: bool,
    /// How far the clock of the service is ahead.
    ahead: Nanos,
    window: u64,
    count: u32,
    now: Nanos,
}

/// What a request has passed with.
#[derive(Clone, Copy, Debug)]
enum Passed {
    Tokens(Taken),
    Debt(Debt, Nanos),
}

const PER: Nanos = Nanos::from_secs(60);

fn gcra(requests: u32, burst: u32) -> Gcra {
    Gcra::new(requests, PER, burst).unwrap()
}

fn sliding(requests: u32) -> SlidingWindow {
    SlidingWindow::new(requests, PER)
}

fn fixed(requests: u32) -> FixedWindow {
    FixedWindow::new(requests, PER)
}

impl<A: Algorithm> World<A> {
    fn new(requests: u32, local: A) -> Self {
        Self {
            leases: Leases {
                max: 50,
                share: 20,
                timeout: TIMEOUT,
                requests,
                per: PER,
                holds: false,
            },
            lease: Lease::default(),
            health: Health::default(),
            local,
            local_state: Default::default(),
            is_up: true,
            ahead: Nanos::ZERO,
            window: 0,
            count: 0,
            now: START,
        }
    }

    fn step<T>(&mut self, step: Step<T>) -> T {
        self.lease = step.lease;
        step.outcome
    }

    /// What the service answers.
    fn call(&mut self, hits: u32) -> Option<(bool, Answer)> {
        if !self.is_up {
            return None;
        }
        let window = self.window();
        if std::mem::replace(&mut self.window, window) != window {
            self.count = 0;
        }
        self.count += hits;
        let limit = self.leases.requests;
        let answer = Answer {
            limit: Some(limit),
            unit: Some(self.leases.per),
            remaining: Some(limit.saturating_sub(self.count)),
            life: Life::Window(Nanos::from_secs(
                60 - (self.now + self.ahead).floor_secs() % 60,
            )),
        };
        Some((self.count <= limit, answer))
    }

    /// Whether a request passes, with `"on_outage": "local"`.
    fn admits(&mut self, cost: u32) -> bool {
        self.pass(cost).is_some()
    }

    fn admitted(&mut self, requests: u32) -> u32 {
        (0..requests).map(|_| u32::from(self.admits(1))).sum()
    }

    fn pass(&mut self, cost: u32) -> Option<Passed> {
        let can_ask = !matches!(self.health.access(self.now), Access::No { .. });
        let take = self
            .leases
            .take(self.lease, cost, can_ask, self.now, self.now);
        let (taken, mut ticket) = match self.step(take) {
            Take::Taken(taken) => return Some(Passed::Tokens(taken)),
            Take::TakenAndRenew(taken, ticket) => (Some(Passed::Tokens(taken)), ticket),
            Take::Ask(ticket) => (None, ticket),
            Take::Denied { .. } => return None,
            Take::NoService => return self.pass_locally(cost),
            Take::WaitForOther { .. } => panic!("calls take no time"),
        };
        loop {
            self.health = self.health.claim(TIMEOUT, self.now).0;
            let Some((is_granted, answer)) = self.call(ticket.hits) else {
                self.health = self.health.failed(self.now, 0, self.now);
                let failed = self.leases.failed(self.lease, ticket, self.now);
                self.step(failed);
                return taken.or_else(|| self.pass_locally(cost));
            };
            self.health = self.health.succeeded(self.now);
            if is_granted {
                let granted = self.leases.granted(self.lease, ticket, answer, self.now);
                let granted = Passed::Tokens(self.step(granted).taken);
                return taken.or(Some(granted));
            }
            let refused = self.leases.refused(self.lease, ticket, answer, 0, self.now);
            match self.step(refused) {
                Refusal::AskLess(less) => ticket = less,
                Refusal::Denied { .. } => return taken,
            }
        }
    }

    fn pass_locally(&mut self, cost: u32) -> Option<Passed> {
        let local = self.leases.go_local(self.lease, self.now);
        let local = self.step(local);
        if let Some(used) = local.used {
            let used = used.min(self.local.capacity());
            self.local_state = self.local.raise(self.local_state, self.now, used);
        }
        if cost > self.local.capacity()
            || self.local.wait(self.local_state, self.now, cost) > Nanos::ZERO
        {
            return None;
        }
        let admission = self.leases.admit(self.lease, cost, self.now);
        let admission = self.step(admission);
        // Nothing happens in between.
        assert_eq!(admission.debt.is_some(), cost <= local.room.left);
        let debt = admission.debt?;
        self.local_state = self.local.spend(self.local_state, self.now, cost);
        Some(Passed::Debt(debt, self.now))
    }

    /// The response costs less than was reserved.
    fn refund(&mut self, passed: Passed, cost: u32) {
        match passed {
            Passed::Tokens(taken) => {
                let taken = Taken { cost, ..taken };
                let returned = self.leases.give_back(self.lease, taken, self.now);
                self.step(returned);
            }
            Passed::Debt(debt, at) => {
                let forgiven = self.leases.forgive(self.lease, debt, cost, at, self.now);
                self.step(forgiven);
                self.local_state = self.local.refund(self.local_state, self.now, cost, at);
            }
        }
    }

    /// The service's window.
    fn window(&self) -> u64 {
        (self.now + self.ahead).floor_secs() / 60
    }
}

#[test]
fn a_key_that_has_used_its_limit_stays_denied_when_the_service_dies() {
    let mut world = World::new(100, fixed(100));
    world.now += Nanos::from_secs(5);
    while world.admits(1) {}
    world.is_up = false;
    assert_eq!(world.admitted(50), 0);
}

#[test]
fn an_outage_does_not_stop_traffic() {
    fn twice<A: Algorithm>(local: A) -> [u32; 2] {
        let mut world = World::new(100, local);
        world.is_up = false;
        let first = world.admitted(200);
        world.now += Nanos::from_secs(60);
        [first, world.admitted(200)]
    }
    assert_eq!(twice(fixed(100)), [100, 100]);
    assert_eq!(twice(gcra(100, 100)), [100, 100]);
    // However large the burst is.
    assert_eq!(twice(gcra(100, 1_000)), [100, 100]);
    // The previous window still counts.
    assert_eq!(twice(sliding(100)), [100, 0]);
}

#[test]
fn what_an_outage_admitted_counts_when_the_service_returns() {
    fn after<A: Algorithm>(local: A) {
        let mut world = World::new(100, local);
        world.now += Nanos::from_secs(5);
        assert_eq!(world.admitted(20), 20);
        world.is_up = false;
        assert_eq!(world.admitted(40), 40);
        world.is_up = true;
        world.now += Nanos::from_secs(11);
        let after = world.admitted(100);
        assert!((20..=40).contains(&after), "{after}");
    }
    after(fixed(100));
    after(gcra(100, 100));
    after(sliding(100));
}

/// GCRA refills within a window, and the service does not.
#[test]
fn an_outage_admits_the_rest_of_the_window() {
    fn admitted<A: Algorithm>(local: A) -> [u32; 3] {
        let mut world = World::new(1_000, local);
        world.now += Nanos::from_secs(5);
        assert_eq!(world.admitted(900), 900);
        world.is_up = false;
        let mut admitted = [0; 3];
        while world.now < START + Nanos::from_secs(180) {
            let window = world.window() - START.floor_secs() / 60;
            admitted[usize::try_from(window).unwrap()] += world.admitted(20);
            world.now += Nanos::from_millis(100);
        }
        admitted
    }
    assert_eq!(admitted(fixed(1_000))[0], 100);
    assert_eq!(admitted(sliding(1_000))[0], 100);
    let [first, next @ ..] = admitted(gcra(1_000, 1_000));
    assert_eq!(first, 100);
    // The last moments of a window count in the next one as well.
    assert!(
        next.iter().all(|next| (900..=1_000).contains(next)),
        "{next:?}"
    );
}

/// Another burst than the requests of the rate admits less at once, but no more in a window.
#[test]
fn a_burst_is_no_part_of_the_bound() {
    let mut world = World::new(1_000, gcra(1_000, 10));
    world.now += Nanos::from_secs(5);
    assert_eq!(world.admitted(900), 900);
    world.is_up = false;
    let tokens = world.lease.tokens();
    assert_eq!(world.admitted(100), tokens);
    world.now += Nanos::from_secs(30);
    assert_eq!(world.admitted(50), 10);
}

/// Calls that are lost now and then charge the local limiter only once for what the service has counted.
#[test]
fn what_the_service_has_counted_is_charged_once() {
    fn rest<A: Algorithm>(local: A) {
        let mut world = World::new(1_000, local);
        world.leases.max = 5;
        world.now += Nanos::from_secs(2);
        assert_eq!(world.admitted(700), 700);
        let mut passed = 700;
        for _ in 0..20 {
            world.now += Nanos::SECOND;
            world.is_up = false;
            // The tokens of the lease, and a request whose call is lost.
            while world.health == Health::default() {
                assert!(world.admits(1));
                passed += 1;
            }
            world.is_up = true;
            assert!(world.admits(1));
            passed += 1;
            assert_eq!(world.health, Health::default());
        }
        world.is_up = false;
        passed += world.admitted(1_000);
        assert_eq!(passed, 1_000);
    }
    rest(fixed(1_000));
    rest(gcra(1_000, 1_000));
    rest(sliding(1_000));
}

/// A step of the property below.
type Event = (u64, u32, u32, bool, Option<usize>);

/// A service goes and returns, and some responses cost nothing. No window has more than its limit.
fn to_and_fro<A: Algorithm>(
    requests: u32,
    local: A,
    ahead: Option<Nanos>,
    events: &[Event],
) -> Result<(), TestCaseError> {
    let mut world = World::new(requests, local);
    let mut admitted = std::collections::BTreeMap::<u64, u32>::new();
    let mut passed = Vec::new();
    if let Some(ahead) = ahead {
        world.ahead = ahead;
        // From here on, the proxy knows the windows.
        prop_assert!(world.admits(1));
        admitted.insert(world.window(), 1);
    }
    for (millis, repeat, cost, changes, refunded) in events {
        world.now += Nanos::from_millis(*millis);
        world.is_up ^= *changes;
        for _ in 0..*repeat {
            if let Some(pass) = world.pass(*cost) {
                *admitted.entry(world.window()).or_default() += cost;
                passed.push((world.window(), pass, *cost));
            }
        }
        if let Some(at) = refunded
            && !passed.is_empty()
        {
            let (window, pass, cost) = passed.swap_remove(at % passed.len());
            world.refund(pass, cost);
            *admitted.get_mut(&window).unwrap() -= cost;
        }
        let over = admitted.iter().find(|(_, admitted)| **admitted > requests);
        prop_assert!(over.is_none(), "{over:?} of {requests}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// A proxy alone, with any algorithm.
    #[test]
    fn to_and_fro_admits_nothing_twice(
        requests in 1..150_u32,
        burst in 1..300_u32,
        ahead in prop::option::of((0..60_000_u64).prop_map(Nanos::from_millis)),
        events in prop::collection::vec(
            (0..3_000_u64, 1..30_u32, 1..3_u32, prop::bool::weighted(0.15), prop::option::weighted(0.3, any::<usize>())),
            1..120,
        ),
    ) {
        to_and_fro(requests, fixed(requests), ahead, &events)?;
        to_and_fro(requests, sliding(requests), ahead, &events)?;
        to_and_fro(requests, gcra(requests, requests), ahead, &events)?;
        to_and_fro(requests, gcra(requests, burst), ahead, &events)?;
    }
}
