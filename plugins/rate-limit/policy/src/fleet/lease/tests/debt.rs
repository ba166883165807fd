//! What is admitted without the service.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::{Admission, Debt, Room};
use super::*;

impl Key {
    fn goes_local(&mut self) -> Option<u32> {
        let step = LEASES.go_local(self.lease, self.now);
        self.step(step).used
    }

    /// The debt, and what may pass then.
    fn admits(&mut self, cost: u32) -> (Option<Debt>, u32) {
        let step = LEASES.admit(self.lease, cost, self.now);
        let Admission { debt, room } = self.step(step);
        (debt, room.left)
    }

    fn owes(&mut self, cost: u32) -> Debt {
        self.admits(cost).0.unwrap()
    }

    fn forgives(&mut self, debt: Debt, cost: u32, owed_at: Nanos) {
        let step = LEASES.forgive(self.lease, debt, cost, owed_at, self.now);
        self.step(step);
    }
}

#[test]
fn without_a_service_the_lease_is_used_up_first() {
    let mut key = Key::with_tokens(1);
    let step = LEASES.take(key.lease, 1, false, key.now, key.now);
    assert!(matches!(key.step(step), Take::Taken(_)));
    let step = LEASES.take(key.lease, 1, false, key.now, key.now);
    assert_eq!(key.step(step), Take::NoService);
}

#[test]
fn the_local_limiter_begins_with_what_is_used() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 300, 40);
    assert_eq!(key.goes_local(), Some(700));
    assert_eq!(key.goes_local(), None);
}

#[test]
fn what_was_admitted_meanwhile_is_counted_when_the_service_returns() {
    let mut key = Key::with_tokens(0);
    assert_eq!(key.goes_local(), Some(100));
    for _ in 0..30 {
        let step = LEASES.owe(key.lease, 1, key.now);
        key.step(step);
    }
    let ticket = key.asks(1);
    assert_eq!(ticket.hits, 31);
    assert_eq!(key.granted(ticket, 500, 39).1, 0);
    assert_eq!(key.lease.owed, 0);
    assert_eq!(key.goes_local(), Some(500));
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
fn a_debt_must_fit_into_the_rest_of_the_window() {
    let mut key = Key::with_tokens(0);
    let ends = START + MS * 5 + Nanos::from_secs(40);
    let local = LEASES.go_local(key.lease, key.now).outcome;
    let room = Room {
        limit: 1_000,
        left: 900,
        ends,
    };
    assert_eq!(local.room, room);
    assert!(matches!(key.admits(600), (Some(_), 300)));
    assert_eq!(key.admits(301), (None, 300));
    assert!(matches!(key.admits(300), (Some(_), 0)));
    assert_eq!(key.admits(1), (None, 0));
    // The next one has the whole limit.
    key.now = ends;
    assert!(matches!(key.admits(1_000), (Some(_), 0)));
    assert_eq!(
        LEASES.go_local(key.lease, key.now).outcome.room.ends,
        ends + LEASES.per
    );
}

#[test]
fn the_rest_of_a_lease_is_part_of_the_room() {
    let mut key = Key::with_tokens(2);
    assert_eq!(key.admits(903), (None, 902));
    assert!(matches!(key.admits(902), (Some(_), 0)));
    assert_eq!((key.lease.tokens, key.lease.debt()), (0, 900));
}

#[test]
fn a_denied_key_has_no_room() {
    let mut key = Key::with_tokens(0);
    let ticket = key.asks(50);
    key.refused(ticket, 39);
    assert_eq!(key.admits(1), (None, 0));
    // The local limiter has nothing left, either.
    assert_eq!(key.goes_local(), Some(1_000));
}

/// In the last second of a window, what an answer grants could not last, but it says what is left.
#[test]
fn the_last_answers_of_a_window_count() {
    let mut key = Key::with_tokens(0);
    key.now = START + Nanos::from_secs(38) + MS * 900;
    let ticket = key.asks(1);
    key.granted(ticket, 300, 1);
    assert_eq!(key.admits(1_000), (None, 300 + key.lease.tokens));
}

/// In the last moments of a window, a debt may be one of the next.
#[test]
fn the_windows_around_an_end_share_a_debt() {
    let mut key = Key::with_tokens(0);
    key.now = START + Nanos::from_secs(39);
    assert!(matches!(key.admits(600), (Some(_), 300)));
    key.now = START + Nanos::from_secs(41);
    assert_eq!(key.admits(401), (None, 400));
    assert!(matches!(key.admits(400), (Some(_), 0)));
    key.now = START + Nanos::from_secs(101);
    assert!(matches!(key.admits(1), (Some(_), 999)));
}

/// 40 s before the next minute of the clock.
#[test]
fn unknown_windows_are_those_of_the_clock() {
    let mut key = Key::new();
    key.lease = Lease::default();
    assert!(matches!(key.admits(1_000), (Some(_), 0)));
    key.now = START + Nanos::from_secs(40) - Nanos::new(1);
    assert_eq!(key.admits(1), (None, 0));
    key.now = START + Nanos::from_secs(40);
    assert!(matches!(key.admits(500), (Some(_), 500)));
    // The clock of the service may be another one.
    assert_eq!(key.asks(1).hits, 1_501);
}

/// Such an answer names the end of a window, and not what was counted in it.
#[test]
fn an_uncertain_refusal_makes_the_window_known() {
    let mut key = Key::new();
    key.lease = Lease::default();
    let ticket = key.asks(1);
    assert!(matches!(key.refused(ticket, 60), Refusal::Denied { .. }));
    let room = LEASES.go_local(key.lease, key.now).outcome.room;
    assert_eq!(room.ends, key.now + Nanos::from_secs(60));
    assert_eq!(room.left, 1_000);
}

/// The local limiter has not counted what the service does not know yet, either, once it begins again.
#[test]
fn a_debt_is_part_of_what_is_used() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    assert_eq!(key.goes_local(), Some(130));
}

#[test]
fn a_debt_is_forgiven() {
    let mut key = Key::with_tokens(0);
    let first = key.owes(30);
    key.owes(10);
    key.forgives(first, 20, key.now);
    assert_eq!(key.asks(1).hits, 21);
}

/// What was paid too much is a part of the other debts.
#[test]
fn a_debt_that_is_paid_is_forgiven_to_others() {
    let mut key = Key::with_tokens(0);
    let first = key.owes(30);
    let at = key.now;
    let ticket = key.asks(1);
    let second = key.owes(50);
    key.granted(ticket, 500, 39);
    key.forgives(first, 30, at);
    assert_eq!(key.lease.debt(), 20);
    key.forgives(second, 50, at);
    assert_eq!(key.lease.debt(), 0);
}

#[test]
fn a_debt_of_another_window_is_not_forgiven() {
    let mut key = Key::with_tokens(0);
    let first = key.owes(30);
    let at = key.now;
    key.now = START + Nanos::from_secs(41);
    key.owes(10);
    key.forgives(first, 30, at);
    assert_eq!(key.lease.debt(), 10);
}

#[test]
fn a_late_debt_is_forgiven_in_both_windows() {
    for now in [39, 41] {
        let mut key = Key::with_tokens(0);
        key.owes(5);
        key.now = START + Nanos::from_secs(39);
        let at = key.now;
        let late = key.owes(30);
        key.now = START + Nanos::from_secs(now);
        key.forgives(late, 30, at);
        assert_eq!(key.lease.debt(), if now == 39 { 5 } else { 0 });
        key.now = START + Nanos::from_secs(41);
        assert_eq!(key.asks(1).hits, 1);
    }
}

/// It was counted in the one or the other.
#[test]
fn a_late_debt_that_is_paid_is_not_forgiven_in_the_next_window() {
    let mut key = Key::with_tokens(0);
    key.now = START + Nanos::from_secs(39);
    let at = key.now;
    let late = key.owes(30);
    let ticket = key.asks(1);
    key.granted(ticket, 500, 1);
    key.owes(10);
    key.forgives(late, 30, at);
    assert_eq!(key.lease.debt(), 10);
    key.now = START + Nanos::from_secs(41);
    key.forgives(late, 30, at);
    assert_eq!(key.lease.debt(), 10);
}

/// While a lease lives, its window does.
#[test]
fn a_debt_is_not_late_while_a_lease_lives() {
    let mut key = Key::with_tokens(1);
    key.now = START + Nanos::from_secs(38) + MS * 900;
    key.owes(30);
    key.now = START + Nanos::from_secs(41);
    assert_eq!(key.asks(1).hits, 1);
}
