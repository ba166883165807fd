//! What one key gets, step by step.

use portcullis_core::time::Nanos;
use portcullis_table::State as _;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Answer, Lease, Leases, Life, Refusal, Step, Take, Taken, Ticket};

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
}

impl Key {
    fn new() -> Self {
        Self {
            lease: Lease::default(),
            now: START,
            wasted: 0,
        }
    }

    fn step<T>(&mut self, step: Step<T>) -> T {
        self.lease = step.lease;
        self.wasted += step.wasted;
        step.outcome
    }

    fn take(&mut self, cost: u32) -> Take {
        let step = LEASES.take(self.lease, cost, true, self.now);
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
fn a_new_key_asks_for_a_few_tokens_and_waits() {
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
fn a_large_cost_asks_for_no_more_than_itself() {
    assert_eq!(Key::new().asks(7).hits, 7);
}

#[test]
fn a_cost_of_nothing_is_free() {
    let mut key = Key::new();
    assert_eq!(key.takes(0).cost, 0);
    assert_eq!(key.lease, Lease::default());
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
fn a_lease_dies_before_its_window() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 996, 40);
    // The window ends 39 to 40 s after the call.
    key.now = START + Nanos::from_secs(38) + MS * 960;
    key.takes(1);
    key.now = START + Nanos::from_secs(39);
    assert!(matches!(key.take(1), Take::Ask(_)));
    assert_eq!(key.wasted, 2);
}

/// The answer may have been computed right after the call: its time on the way does not count.
#[test]
fn a_slow_answer_does_not_prolong_a_lease() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.now += MS * 40;
    key.granted(ticket, 996, 10);
    key.now = START + Nanos::from_secs(9);
    assert!(!key.lease.is_live(key.now));
}

/// The clock of the service moves on by a second between two calls; the bound of the second is later.
#[test]
fn the_latest_bound_of_a_window_counts() {
    let mut key = Key::new();
    let first = key.asks(4);
    key.granted(first, 996, 40);
    key.now = START + MS * 900;
    let second = key.asks(4);
    key.granted(second, 990, 40);
    key.now = START + Nanos::from_secs(39) + MS * 850;
    assert!(key.lease.is_live(key.now));
}

/// A call that may have been counted in the window before: its rest is the whole window.
#[test]
fn tokens_of_a_window_that_may_be_over_are_not_handed_out() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let (taken, added) = key.granted(ticket, 996, 60);
    assert_eq!((taken.cost, added, key.wasted), (1, 0, 3));
    // From here on the window is known.
    let ticket = key.asks(1);
    assert_eq!(key.granted(ticket, 992, 60).1, 3);
}

#[test]
fn a_denial_that_may_be_of_the_window_before_is_not_remembered() {
    let mut key = Key::new();
    let ticket = key.asks(4);
    let Refusal::Denied { until } = key.refused(ticket, 60) else {
        panic!("more was asked for");
    };
    assert!(until <= key.now + Nanos::SECOND);
    let _ = key.asks(4);
}

#[test]
fn a_denial_lasts_until_the_window_ends() {
    let mut key = Key::new();
    let ticket = key.asks(4);
    let until = START + MS * 5 + Nanos::from_secs(40);
    assert_eq!(key.refused(ticket, 40), Refusal::Denied { until });
    key.now = until - Nanos::new(1);
    assert_eq!(key.take(4), Take::Denied { until });
    key.now = until;
    let _ = key.asks(4);
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
fn leases_grow_while_they_are_used_up_quickly() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 996, 40);
    let mut largest = 0;
    for _ in 0..500 {
        key.now += MS;
        if let Take::TakenAndRenew(_, ticket) | Take::Ask(ticket) = key.take(1) {
            largest = largest.max(ticket.hits);
            key.granted(ticket, 900, 40);
        }
    }
    // 100 is the maximum, and 10 % of 1000; a renewal tops up.
    assert!((75..=100).contains(&largest), "{largest}");
}

#[test]
fn a_lease_is_a_part_of_what_remains() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 5, 40);
    for _ in 0..3 {
        key.takes(1);
    }
    assert_eq!(key.asks(1).hits, 2);
}

#[test]
fn a_lease_is_smaller_if_others_take_more() {
    let mut key = Key::new();
    let mut remaining = 1000;
    for _ in 0..20 {
        let ticket = loop {
            match key.take(1) {
                Take::TakenAndRenew(_, ticket) | Take::Ask(ticket) => break ticket,
                _ => {}
            }
        };
        // Nine others take as much.
        remaining -= ticket.hits * 10;
        key.granted(ticket, remaining, 40);
        if remaining < 400 {
            break;
        }
    }
    assert!((5..=10).contains(&key.lease.peers), "{}", key.lease.peers);
    assert!(LEASES.size(&key.lease, key.now) <= 400 / 10);
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
fn tokens_of_another_window_are_not_returned() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let (taken, _) = key.granted(ticket, 996, 40);
    key.now = START + Nanos::from_secs(70);
    let ticket = key.asks(1);
    key.granted(ticket, 996, 30);
    let tokens = key.lease.tokens;
    let step = LEASES.give_back(key.lease, taken, key.now);
    key.step(step);
    assert_eq!(key.lease.tokens, tokens);
}

/// In the last second of a window each request asks for itself, so that none waits in vain.
#[test]
fn nobody_waits_for_a_lease_that_is_dead_when_it_comes() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 996, 1);
    let one = key.asks(1);
    let other = key.asks(1);
    assert_eq!((one.hits, other.hits), (1, 1));
    key.granted(one, 995, 1);
    key.granted(other, 994, 60);
    let marked = key.asks(1);
    assert!(matches!(key.take(1), Take::WaitForOther { .. }));
    assert!(key.granted(marked, 990, 60).1 > 0);
}

#[test]
fn a_service_without_windows_is_asked_each_time() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let unknown = Answer {
        life: Life::Unknown,
        unit: None,
        remaining: None,
        limit: None,
    };
    let step = LEASES.granted(key.lease, ticket, unknown, key.now);
    assert_eq!(key.step(step).added, 0);
    assert_eq!(key.asks(1).hits, 1);
    assert_eq!(key.asks(1).hits, 1);
}

#[test]
fn without_a_service_the_lease_is_used_up_first() {
    let mut key = Key::with_tokens(1);
    let step = LEASES.take(key.lease, 1, false, key.now);
    assert!(matches!(key.step(step), Take::Taken(_)));
    let step = LEASES.take(key.lease, 1, false, key.now);
    assert_eq!(key.step(step), Take::NoService);
}

#[test]
fn the_local_limiter_begins_with_what_is_used() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 300, 40);
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), Some(700));
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), None);
}

#[test]
fn what_was_admitted_meanwhile_is_counted_when_the_service_returns() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), Some(100));
    for _ in 0..30 {
        let step = LEASES.owe(key.lease, 1, key.now);
        key.step(step);
    }
    let ticket = key.asks(1);
    assert_eq!(ticket.hits, 31);
    assert_eq!(key.granted(ticket, 500, 39).1, 0);
    assert_eq!(key.lease.owed, 0);
    assert_eq!(LEASES.go_local(key.lease, key.now).outcome, Some(500));
}

#[test]
fn a_debt_that_does_not_fit_denies_everything() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    let ticket = key.asks(5);
    assert!(matches!(key.refused(ticket, 39), Refusal::Denied { .. }));
    assert!(matches!(key.take(1), Take::Denied { .. }));
}

#[test]
fn a_debt_ends_with_its_window() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    key.now = START + Nanos::from_secs(41);
    assert_eq!(key.asks(1).hits, 1);
}

/// The service's windows go on during an outage.
#[test]
fn a_debt_belongs_to_the_window_it_was_made_in() {
    let mut key = Key::with_tokens(0);
    key.now = START + Nanos::from_secs(70);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    let lease = key.lease;
    key.now = START + Nanos::from_secs(99);
    assert_eq!(key.asks(1).hits, 31);
    key.lease = lease;
    key.now = START + Nanos::from_secs(101);
    assert_eq!(key.asks(1).hits, 1);
}

#[test]
fn a_hold_is_closed_with_its_unused_tokens() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let held = Answer {
        life: Life::Hold(Nanos::from_secs(5)),
        ..answer(996, 0)
    };
    let step = LEASES.granted(key.lease, ticket, held, key.now);
    let lot = key.step(step).taken.lot;
    key.takes(1);
    // The hold must be committed before it ends.
    assert!(
        !key.lease
            .is_live(START + Nanos::from_secs(5) - LEASES.timeout)
    );
    let step = LEASES.close(key.lease, lot);
    assert_eq!(key.step(step), 2);
    let step = LEASES.close(key.lease, lot);
    assert_eq!(key.step(step), 0);
}

proptest! {
    #[test]
    fn every_state_has_its_bytes(bytes in prop::array::uniform32(any::<u8>()), more in prop::array::uniform30(any::<u8>())) {
        let mut all = [0; 62];
        all[..32].copy_from_slice(&bytes);
        all[32..].copy_from_slice(&more);
        let lease = Lease::from_bytes(all);
        prop_assert_eq!(Lease::from_bytes(lease.to_bytes()), lease);
    }
}
