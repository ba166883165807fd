//! Many requests of one key at once.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const ROUND_TRIP: Nanos = Nanos::from_millis(20);

impl Fleet {
    /// Sends requests at once, to a service that answers each call after a round trip. Returns their decisions.
    fn burst(&mut self, requests: usize) -> Vec<Decision> {
        self.burst_at(ROUND_TRIP, requests)
    }

    fn burst_at(&mut self, round_trip: Nanos, requests: usize) -> Vec<Decision> {
        let mut waiting: Vec<Evaluation> = (0..requests).map(|_| self.send("a")).collect();
        let mut decided = Vec::new();
        while !waiting.is_empty() {
            self.now += round_trip - Nanos::MILLISECOND;
            self.answer();
            for evaluation in std::mem::take(&mut waiting) {
                let evaluation = self.resume(evaluation);
                match evaluation.is_pending() {
                    true => waiting.push(evaluation),
                    false => decided.extend(decisions(&evaluation)),
                }
            }
        }
        decided
    }

    fn outages(&self) -> u32 {
        self.events(|event| match event {
            FleetEvent::Outage(_) => Some(1),
            _ => None,
        })
    }
}

/// A limit of 1,000, with 50 ms for two round trips of 20 ms.
fn thousand(on_outage: &str) -> Fleet {
    let mut limit = limit("k", json!({"on_outage": on_outage}));
    limit["rate"]["requests"] = json!(1_000);
    let mut fleet = Fleet::new(with_services(vec![limit]));
    fleet.service.limits.insert("k".to_owned(), 1_000);
    fleet
}

#[test]
fn a_burst_of_a_new_key_passes_if_the_service_has_room() {
    for on_outage in ["local", "allow", "deny"] {
        let mut fleet = thousand(on_outage);
        assert_eq!(fleet.burst(400), [Decision::Admitted; 400], "{on_outage}");
        assert_eq!(fleet.outages(), 0, "{on_outage}");
    }
}

#[test]
fn a_burst_of_a_known_key_passes_if_the_service_has_room() {
    let mut fleet = thousand("deny");
    assert_eq!(fleet.burst(3), [Decision::Admitted; 3]);
    fleet.now += Nanos::from_secs(5);
    assert_eq!(fleet.burst(400), [Decision::Admitted; 400]);
    assert_eq!(fleet.outages(), 0);
}

/// Most of those who wait profit from the next call.
#[test]
fn those_who_wait_make_the_next_lease_larger() {
    let mut fleet = thousand("deny");
    assert_eq!(fleet.burst(80), [Decision::Admitted; 80]);
    let hits: Vec<u32> = fleet.service.calls.iter().map(|call| call[0].1).collect();
    assert_eq!(hits[..2], [1, 79]);
    assert!(hits.len() <= 3, "{hits:?}");
}

/// Where the service is fast, there is time for several calls of others before one of its own.
#[test]
fn a_burst_larger_than_a_lease_needs_few_calls_at_a_fast_service() {
    let mut fleet = thousand("deny");
    let decided = fleet.burst_at(Nanos::from_millis(5), 190);
    assert_eq!(decided, [Decision::Admitted; 190]);
    let hits: Vec<u32> = fleet.service.calls.iter().map(|call| call[0].1).collect();
    assert!(hits.len() * 10 <= 190, "{hits:?}");
}

#[test]
fn a_burst_beyond_the_limit_is_limited_and_no_outage() {
    for compares_first in [false, true] {
        for on_outage in ["local", "allow", "deny"] {
            let mut fleet = thousand(on_outage);
            fleet.service.compares_first = compares_first;
            let decided = fleet.burst(1_500);
            let count = |decision| decided.iter().filter(|it| **it == decision).count();
            let admitted = count(Decision::Admitted);
            assert!((900..=1_000).contains(&admitted), "{admitted}");
            let limited = count(Decision::Denied(Reason::RateLimited));
            assert_eq!(admitted + limited, 1_500, "{on_outage}");
            assert_eq!(fleet.outages(), 0, "{on_outage}");
        }
    }
}
