//! An outage begins, and ends with a probe; what is admitted meanwhile counts.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::algorithm::{Algorithm as _, FixedWindow};
use crate::fleet::lease::{Answer, Lease, Leases, Life, Refusal, Step, Take};
use crate::fleet::outage::{Access, Health, OPENS_AFTER};
use portcullis_core::time::Nanos;
use portcullis_table::State as _;

const TIMEOUT: Nanos = Nanos::from_millis(50);
/// The start of an hour.
const START: Nanos = Nanos::from_secs(1_700_000_000 / 3_600 * 3_600);

fn out() -> Health {
    (0..OPENS_AFTER).fold(Health::default(), |health, _| {
        health.failed(START, 0, START)
    })
}

/// When the next call may be made.
fn next(health: Health, now: Nanos) -> Nanos {
    match health.access(now) {
        Access::No { until } => until,
        _ => now,
    }
}

#[test]
fn some_failures_in_a_row_are_an_outage() {
    let mut health = Health::default();
    for _ in 0..10 {
        for _ in 1..OPENS_AFTER {
            health = health.failed(START, 0, START);
        }
        assert_eq!(health.access(START), Access::Yes);
        health = health.succeeded(START);
    }
    let health = out();
    assert!(matches!(health.access(START), Access::No { .. }));
    assert_eq!(health.out_for(START + Nanos::SECOND), Some(Nanos::SECOND));
}

#[test]
fn one_probe_at_a_time_ends_an_outage() {
    let now = next(out(), START);
    let (health, is_claimed) = out().claim(TIMEOUT, now);
    assert!(is_claimed);
    assert!(!health.claim(TIMEOUT, now).1);
    assert_eq!(
        health.access(now),
        Access::No {
            until: now + TIMEOUT
        }
    );
    // A lost probe is replaced.
    assert!(health.claim(TIMEOUT, now + TIMEOUT).1);
    assert_eq!(health.succeeded(now), Health::default());
}

#[test]
fn probes_become_rarer() {
    let (mut health, mut now) = (out(), START);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let until = next(health, now);
        waits.push((until - now).ceil_millis());
        now = until;
        health = health.claim(TIMEOUT, now).0.failed(now, u64::MAX, now);
    }
    assert_eq!(waits[1..4], [500, 1_000, 2_000]);
    assert_eq!(waits[9], 10_000);
}

#[test]
fn calls_from_before_the_outage_say_nothing() {
    let before = START - Nanos::new(1);
    assert_eq!(out().succeeded(before), out());
    assert_eq!(out().failed(before, 0, START + Nanos::SECOND), out());
}

/// A proxy, its local limiter, and a service that adds and compares.
struct World {
    leases: Leases,
    lease: Lease,
    health: Health,
    local: FixedWindow,
    local_state: <FixedWindow as crate::algorithm::Algorithm>::State,
    is_up: bool,
    window: u64,
    count: u32,
    now: Nanos,
}

impl World {
    fn new(requests: u32) -> Self {
        let per = Nanos::from_secs(60);
        Self {
            leases: Leases {
                max: 50,
                share: 20,
                timeout: TIMEOUT,
                requests,
                per,
                holds: false,
            },
            lease: Lease::default(),
            health: Health::default(),
            local: FixedWindow::new(requests, per),
            local_state: Default::default(),
            is_up: true,
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
        let window = self.now.floor_secs() / 60;
        if !self.is_up {
            return None;
        }
        if std::mem::replace(&mut self.window, window) != window {
            self.count = 0;
        }
        self.count += hits;
        let limit = self.leases.requests;
        let answer = Answer {
            limit: Some(limit),
            unit: Some(self.leases.per),
            remaining: Some(limit.saturating_sub(self.count)),
            life: Life::Window(Nanos::from_secs(60 - self.now.floor_secs() % 60)),
        };
        Some((self.count <= limit, answer))
    }

    /// Whether a request passes, with `"on_outage": "local"`.
    fn admits(&mut self, cost: u32) -> bool {
        let can_ask = !matches!(self.health.access(self.now), Access::No { .. });
        let take = self
            .leases
            .take(self.lease, cost, can_ask, self.now, self.now);
        let mut ticket = match self.step(take) {
            Take::Taken(_) => return true,
            Take::TakenAndRenew(_, ticket) | Take::Ask(ticket) => ticket,
            Take::Denied { .. } => return false,
            Take::NoService => return self.admits_locally(cost),
            Take::WaitForOther { .. } => panic!("calls take no time"),
        };
        let is_renewal = ticket.cost == 0;
        loop {
            self.health = self.health.claim(TIMEOUT, self.now).0;
            let Some((is_granted, answer)) = self.call(ticket.hits) else {
                self.health = self.health.failed(self.now, 0, self.now);
                let failed = self.leases.failed(self.lease, ticket, self.now);
                self.step(failed);
                return is_renewal || self.admits_locally(cost);
            };
            self.health = self.health.succeeded(self.now);
            if is_granted {
                let granted = self.leases.granted(self.lease, ticket, answer, self.now);
                self.step(granted);
                return true;
            }
            let refused = self.leases.refused(self.lease, ticket, answer, 0, self.now);
            match self.step(refused) {
                Refusal::AskLess(less) => ticket = less,
                Refusal::Denied { .. } => return is_renewal,
            }
        }
    }

    fn admits_locally(&mut self, cost: u32) -> bool {
        let local = self.leases.go_local(self.lease, self.now);
        if let Some(used) = self.step(local) {
            self.local_state = self.local.spend(self.local_state, self.now, used);
        }
        if self.local.wait(self.local_state, self.now, cost) > Nanos::ZERO {
            return false;
        }
        self.local_state = self.local.spend(self.local_state, self.now, cost);
        let owed = self.leases.owe(self.lease, cost, self.now);
        self.step(owed);
        true
    }
}

#[test]
fn a_key_that_has_used_its_limit_stays_denied_when_the_service_dies() {
    let mut world = World::new(100);
    world.now += Nanos::from_secs(5);
    while world.admits(1) {}
    world.is_up = false;
    assert!((0..50).all(|_| !world.admits(1)));
}

#[test]
fn an_outage_does_not_stop_traffic() {
    let mut world = World::new(100);
    world.is_up = false;
    let admitted = (0..200).filter(|_| world.admits(1)).count();
    assert_eq!(admitted, 100);
    world.now += Nanos::from_secs(60);
    let admitted = (0..200).filter(|_| world.admits(1)).count();
    assert_eq!(admitted, 100);
}

#[test]
fn what_an_outage_admitted_counts_when_the_service_returns() {
    let mut world = World::new(100);
    world.now += Nanos::from_secs(5);
    assert_eq!((0..20).filter(|_| world.admits(1)).count(), 20);
    world.is_up = false;
    let meanwhile = (0..40).filter(|_| world.admits(1)).count();
    assert_eq!(meanwhile, 40);
    world.is_up = true;
    world.now += Nanos::from_secs(11);
    let after = (0..100).filter(|_| world.admits(1)).count();
    assert!((20..=40).contains(&after), "{after}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// A proxy alone, with a service that goes and returns: no window has more than its limit.
    #[test]
    fn to_and_fro_admits_nothing_twice(
        requests in 1..150_u32,
        steps in prop::collection::vec((0..3_000_u64, 1..30_u32, 1..3_u32, prop::bool::weighted(0.15)), 1..120),
    ) {
        let mut world = World::new(requests);
        let mut admitted = std::collections::BTreeMap::<u64, u32>::new();
        for (millis, repeat, cost, changes) in steps {
            world.now += Nanos::from_millis(millis);
            world.is_up ^= changes;
            for _ in 0..repeat {
                if world.admits(cost) {
                    *admitted.entry(world.now.floor_secs() / 60).or_default() += cost;
                }
            }
        }
        let over: Vec<_> = admitted.iter().filter(|(_, admitted)| **admitted > requests).collect();
        prop_assert!(over.is_empty(), "{over:?} of {requests}");
    }

    #[test]
    fn every_health_has_its_bytes(low: u128, high: u64, more: u32) {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&low.to_le_bytes());
        bytes[16..24].copy_from_slice(&high.to_le_bytes());
        bytes[24..].copy_from_slice(&more.to_le_bytes());
        prop_assert_eq!(Health::from_bytes(bytes).to_bytes(), bytes);
    }
}
