//! What one key gets, step by step.

mod debt;
mod ended;
mod hold;
mod sizes;
mod time;

use portcullis_core::time::Nanos;
use portcullis_table::State as _;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Answer, Ended, Lease, Leases, Life, Refusal, Step, Take, Taken, Ticket};

/// 1000 a minute, in leases of at most 100.
pub(in crate::fleet) const LEASES: Leases = Leases {
    max: 100,
    share: 10,
    timeout: Nanos::from_millis(50),
    requests: 1000,
    per: Nanos::from_secs(60),
    holds: false,
};

const MS: Nanos = Nanos::MILLISECOND;
/// 20 s into a minute.
const START: Nanos = Nanos::from_secs(1_700_000_000);

/// A key, and the clock of its proxy.
struct Key {
    lease: Lease,
    now: Nanos,
    wasted: u32,
    ended: Vec<Ended>,
}

impl Key {
    /// A key that the service has answered for, long ago.
    fn new() -> Self {
        let lease = Lease {
            limit: Some(1000),
            ..Lease::default()
        };
        Self {
            lease,
            now: START,
            wasted: 0,
            ended: Vec::new(),
        }
    }

    fn step<T>(&mut self, step: Step<T>) -> T {
        self.ended.extend(self.lease.ended(&step.lease, self.now));
        self.lease = step.lease;
        self.wasted += step.wasted;
        step.outcome
    }

    fn take(&mut self, cost: u32) -> Take {
        let step = LEASES.take(self.lease, cost, true, self.now, self.now);
        self.step(step)
    }

    fn takes(&mut self, cost: u32) -> Taken {
        match self.take(cost) {
            Take::Taken(taken) | Take::TakenAndRenew(taken, _) => taken,
            other => panic!("{other:?}"),
        }
    }

    fn asks(&mut self, cost: u32) -> Ticket {
        match self.take(cost) {
            Take::Ask(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// The answer comes 5 ms after the call.
    fn granted(&mut self, ticket: Ticket, remaining: u32, rest: u64) -> (Taken, u32) {
        self.now += MS * 5;
        let answer = answer(remaining, rest);
        let step = LEASES.granted(self.lease, ticket, answer, self.now);
        let grant = self.step(step);
        (grant.taken, grant.added)
    }

    fn refused(&mut self, ticket: Ticket, rest: u64) -> Refusal {
        self.now += MS * 5;
        let step = LEASES.refused(self.lease, ticket, answer(0, rest), 0, self.now);
        self.step(step)
    }

    /// A key that holds this many tokens, 40 s before the end of its window.
    fn with_tokens(tokens: u32) -> Self {
        let mut key = Self::new();
        let ticket = key.asks(1);
        key.granted(ticket, 900, 40);
        while key.lease.tokens > tokens {
            if let Take::TakenAndRenew(_, ticket) = key.take(1) {
                let step = LEASES.failed(key.lease, ticket, key.now);
                key.step(step);
            }
        }
        key
    }
}

fn answer(remaining: u32, rest: u64) -> Answer {
    Answer {
        limit: Some(1000),
        unit: Some(Nanos::from_secs(60)),
        remaining: Some(remaining),
        life: Life::Window(Nanos::from_secs(rest)),
    }
}

#[test]
fn a_known_key_asks_for_a_few_tokens_and_waits() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    assert_eq!((ticket.hits, ticket.cost), (4, 1));
    let until = START + LEASES.timeout;
    assert_eq!(key.take(1), Take::WaitForOther { until });
    let (taken, added) = key.granted(ticket, 996, 40);
    assert_eq!((taken.cost, added), (1, 3));
    for _ in 0..3 {
        key.takes(1);
    }
    assert!(matches!(
        key.take(1),
        Take::Ask(_) | Take::WaitForOther { .. }
    ));
}

#[test]
fn a_cost_of_nothing_is_free() {
    let mut key = Key::new();
    assert_eq!(key.takes(0).cost, 0);
    assert_eq!(key.lease, Key::new().lease);
}

#[test]
fn a_lost_call_blocks_until_its_timeout() {
    let mut key = Key::new();
    let lost = key.asks(1);
    key.now += LEASES.timeout - Nanos::new(1);
    assert!(matches!(key.take(1), Take::WaitForOther { .. }));
    key.now += Nanos::new(1);
    let second = key.asks(1);
    // The late answer changes nothing; the request that it was for is over.
    let before = key.lease;
    assert_eq!(key.granted(lost, 996, 40).1, 0);
    assert_eq!(key.lease, before);
    assert_eq!(key.granted(second, 992, 40).1, 3);
}

#[test]
fn an_answer_counts_once() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    assert_eq!(key.granted(ticket, 996, 40).1, 3);
    assert_eq!(key.granted(ticket, 996, 40).1, 0);
    assert_eq!(key.lease.tokens, 3);
}

#[test]
fn a_failed_call_lets_the_next_request_ask() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let step = LEASES.failed(key.lease, ticket, key.now);
    key.step(step);
    let _ = key.asks(1);
}

#[test]
fn a_refusal_of_more_than_the_cost_asks_once_more() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let Refusal::AskLess(less) = key.refused(ticket, 40) else {
        panic!("denied");
    };
    assert_eq!(less.hits, 1);
    assert!(matches!(key.refused(less, 40), Refusal::Denied { .. }));
    assert!(matches!(key.take(1), Take::Denied { .. }));
}

#[test]
fn what_was_refused_to_a_large_cost_may_suffice_for_a_small_one() {
    let mut key = Key::new();
    let ticket = key.asks(50);
    assert!(matches!(key.refused(ticket, 40), Refusal::Denied { .. }));
    assert!(matches!(key.take(50), Take::Denied { .. }));
    let small = key.asks(2);
    assert_eq!(small.hits, 2);
    key.granted(small, 10, 40);
    assert!(matches!(key.take(50), Take::Denied { .. }));
}

#[test]
fn a_refused_renewal_leaves_the_tokens() {
    let mut key = Key::with_tokens(1);
    let ticket = key.asks(2);
    let Refusal::AskLess(less) = key.refused(ticket, 40) else {
        panic!("denied");
    };
    key.refused(less, 40);
    key.takes(1);
    assert!(matches!(key.take(2), Take::Denied { .. }));
}

#[test]
fn returned_tokens_can_be_taken_again() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let (taken, _) = key.granted(ticket, 996, 40);
    let step = LEASES.give_back(key.lease, taken, key.now);
    key.step(step);
    assert_eq!((key.lease.tokens, key.wasted), (4, 0));
}

#[test]
fn a_state_matters_while_it_holds_something() {
    let mut key = Key::new();
    assert_eq!(LEASES.eviction_cost(key.lease, key.now), 0);
    let ticket = key.asks(1);
    assert_eq!(LEASES.eviction_cost(key.lease, key.now), 1);
    key.granted(ticket, 996, 40);
    assert_eq!(LEASES.eviction_cost(key.lease, key.now), 3);
    let ticket = key.asks(50);
    key.refused(ticket, 40);
    assert!(LEASES.eviction_cost(key.lease, key.now) > 1000);
    let later = START + Nanos::from_secs(60);
    assert_eq!(LEASES.eviction_cost(key.lease, later), 0);
}

proptest! {
    #[test]
    fn every_state_has_its_bytes(bytes in prop::array::uniform32(any::<u8>()), more in prop::array::uniform31(any::<u8>())) {
        let mut all = [0; 63];
        all[..32].copy_from_slice(&bytes);
        all[32..].copy_from_slice(&more);
        let lease = Lease::from_bytes(all);
        prop_assert_eq!(Lease::from_bytes(lease.to_bytes()), lease);
    }

    /// Whatever is in the table, and whatever a service says.
    #[test]
    fn any_state_is_handled(
        bytes in prop::collection::vec(any::<u8>(), 63),
        [now, rest, random, unit] in any::<[u64; 4]>(),
        [cost, limit, remaining] in any::<[u32; 3]>(),
        kind in 0..4_u8,
    ) {
        let lease = Lease::from_bytes(bytes.try_into().unwrap());
        let now = Nanos::new(now);
        let rest = Nanos::new(rest);
        let answer = Answer {
            limit: Some(limit),
            unit: Some(Nanos::new(unit)),
            remaining: Some(remaining),
            life: match kind {
                0 => Life::Window(rest),
                1 => Life::Hold(rest),
                2 => Life::WithoutLimit,
                _ => Life::Unknown,
            },
        };
        let take = LEASES.take(lease, cost, true, now, now);
        if let Take::Ask(ticket) | Take::TakenAndRenew(_, ticket) = take.outcome {
            prop_assert!(ticket.hits >= ticket.cost);
            let grant = LEASES.granted(take.lease, ticket, answer, now + rest).outcome;
            prop_assert!(grant.added <= ticket.hits - ticket.cost);
            let _ = LEASES.refused(take.lease, ticket, answer, random, now + rest);
            LEASES.failed(take.lease, ticket, now + rest);
        }
        LEASES.owe(lease, cost, now);
        let admitted = LEASES.admit(lease, cost, now);
        if let Some(debt) = admitted.outcome.debt {
            LEASES.forgive(admitted.lease, debt, remaining, now, now + rest);
        }
        LEASES.go_local(lease, now);
        LEASES.quota(lease, now);
        LEASES.eviction_cost(lease, now);
    }
}
