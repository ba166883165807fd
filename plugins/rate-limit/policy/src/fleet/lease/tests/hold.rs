//! Leases that the service only holds.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::fleet::lease::{End, Lot};

const HOLDS: Leases = Leases {
    holds: true,
    ..LEASES
};

/// A key whose service holds amounts.
struct Held(Key);

impl Held {
    fn new() -> Self {
        Self(Key {
            lease: Lease::default(),
            now: START,
            wasted: 0,
            ended: Vec::new(),
        })
    }

    fn take(&mut self, cost: u32) -> Take {
        let step = HOLDS.take(self.0.lease, cost, true, self.0.now, self.0.now);
        self.0.step(step)
    }

    fn asks(&mut self, cost: u32) -> Ticket {
        match self.take(cost) {
            Take::Ask(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn granted(&mut self, ticket: Ticket) -> Lot {
        let held = Answer {
            life: Life::Hold(HOLDS.ttl()),
            ..Answer::UNKNOWN
        };
        let step = HOLDS.granted(self.0.lease, ticket, held, self.0.now);
        self.0.step(step).taken.lot
    }

    fn refused(&mut self, ticket: Ticket) -> Refusal {
        let answer = Answer::UNKNOWN;
        let step = HOLDS.refused(self.0.lease, ticket, answer, 0, self.0.now);
        self.0.step(step)
    }

    fn close(&mut self, lot: Lot) -> u32 {
        let step = HOLDS.close(self.0.lease, lot);
        self.0.step(step).unused
    }

    fn takes_all(&mut self) -> u32 {
        let mut taken = 0;
        while matches!(self.take(1), Take::Taken(_)) {
            taken += 1;
        }
        taken
    }
}

#[test]
fn a_hold_is_closed_with_its_unused_tokens() {
    let mut key = Held::new();
    let ticket = key.asks(1);
    assert_eq!(ticket.hits, 4);
    let lot = key.granted(ticket);
    assert!(matches!(key.take(1), Take::Taken(_)));
    // A tick can be a second late.
    let late = HOLDS.closes(START) + Nanos::SECOND;
    assert!(key.0.lease.is_live(late));
    assert!(late + HOLDS.timeout < START + HOLDS.ttl());
    assert_eq!(key.close(lot), 2);
    assert_eq!(key.close(lot), 0);
    let [ended] = key.0.ended[..] else {
        panic!("{:?}", key.0.ended);
    };
    assert_eq!(ended.why, End::Expired);
    assert_eq!(key.0.wasted, 0);
    // Nothing can be taken after that, or be returned.
    let taken = Taken { cost: 1, lot };
    let step = HOLDS.give_back(key.0.lease, taken, key.0.now);
    key.0.step(step);
    assert_eq!(key.0.wasted, 1);
    assert!(matches!(key.take(1), Take::Ask(_)));
}

/// Each hold has its own name, even if two begin at the same time.
#[test]
fn a_hold_takes_over_what_is_left() {
    let mut key = Held::new();
    let ticket = key.asks(1);
    let first = key.granted(ticket);
    let ticket = key.asks(5);
    let second = key.granted(ticket);
    assert_ne!(first, second);
    assert_eq!(key.close(first), 0);
    assert_eq!(key.takes_all(), 3);
    assert_eq!(key.0.wasted, 0);
}

#[test]
fn a_busy_key_gets_larger_holds() {
    let mut key = Held::new();
    let mut sizes = Vec::new();
    for _ in 0..10 {
        let ticket = key.asks(1);
        sizes.push(ticket.hits);
        key.granted(ticket);
        key.takes_all();
        key.0.now += MS * 100;
    }
    assert_eq!(sizes[0], 4);
    assert!(sizes.is_sorted());
    assert_eq!(sizes[9], 100);
}

/// Others may return what they hold at any time, so a denial is short.
#[test]
fn a_denial_ends_after_seconds() {
    let mut key = Held::new();
    let ticket = key.asks(1);
    let Refusal::AskLess(less) = key.refused(ticket) else {
        panic!("the cost alone may fit");
    };
    assert_eq!(less.hits, 1);
    let Refusal::Denied { until } = key.refused(less) else {
        panic!("less is nothing");
    };
    assert!(until >= START + Nanos::SECOND && until <= START + Nanos::from_secs(2));
    assert_eq!(key.take(1), Take::Denied { until });
    // It is all that response headers can show.
    let shown = HOLDS.quota(key.0.lease, key.0.now);
    assert_eq!(shown, Some((1000, 0, until - START)));
    key.0.now = until;
    let ticket = key.asks(1);
    key.granted(ticket);
    assert_eq!(HOLDS.quota(key.0.lease, key.0.now), None);
}

/// While some requests are refused, smaller ones are asked for one by one.
#[test]
fn a_refusal_of_more_is_remembered() {
    let mut key = Held::new();
    let ticket = key.asks(1);
    let Refusal::AskLess(less) = key.refused(ticket) else {
        panic!("the cost alone may fit");
    };
    key.granted(less);
    assert_eq!(key.asks(1).hits, 1);
}

/// A debt that does not fit now may fit in a moment.
#[test]
fn a_refused_debt_is_asked_for_again() {
    let mut key = Held::new();
    let step = HOLDS.owe(key.0.lease, 60, key.0.now);
    key.0.step(step);
    for _ in 0..10 {
        let ticket = key.asks(1);
        assert_eq!(ticket.hits, 61);
        assert!(matches!(key.refused(ticket), Refusal::Denied { .. }));
        key.0.now += Nanos::from_secs(3);
    }
    let ticket = key.asks(1);
    key.granted(ticket);
    assert_eq!(key.0.lease.debt(), 0);
    // It is forgotten after two periods.
    let step = HOLDS.owe(key.0.lease, 60, key.0.now);
    key.0.step(step);
    key.0.now += Nanos::from_secs(121);
    assert_eq!(key.asks(1).hits, 4);
}
