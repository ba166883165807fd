//! How many hits a call asks for.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_key_that_was_never_seen_asks_for_its_cost() {
    let mut key = Key::new();
    key.lease = Lease::default();
    let ticket = key.asks(2);
    assert_eq!(ticket.hits, 2);
    key.granted(ticket, 998, 40);
    // Now it is known that much remains.
    assert_eq!(key.asks(1).hits, 4);
}

/// Others have used half of the window's limit: a large lease may be more than what is left soon.
#[test]
fn a_key_that_many_use_asks_for_little() {
    let mut key = Key::new();
    key.lease = Lease::default();
    let ticket = key.asks(1);
    key.granted(ticket, 500, 40);
    assert_eq!(key.asks(1).hits, 1);
}

#[test]
fn a_large_cost_asks_for_no_more_than_itself() {
    assert_eq!(Key::new().asks(7).hits, 7);
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
fn a_lease_is_half_of_what_remains() {
    let mut key = Key::with_tokens(0);
    key.lease.size = 50;
    key.lease.peers = 1;
    key.lease.remaining = Some(12);
    assert_eq!(key.asks(1).hits, 6);
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
fn without_a_limit_calls_are_rare() {
    let mut key = Key::new();
    key.lease = Lease::default();
    let ticket = key.asks(1);
    let free = Answer {
        limit: None,
        unit: None,
        remaining: None,
        life: Life::WithoutLimit,
    };
    let step = LEASES.granted(key.lease, ticket, free, key.now);
    key.step(step);
    assert_eq!(key.asks(1).hits, LEASES.max);
}
