//! Several proxies with clocks of their own, one service, and a network that delays and loses messages.

use proptest::prelude::*;

use portcullis_core::time::Nanos;

use super::random::Random;
use super::service::{Counting, Service};
use super::simulation::{Fleet, Network, Proxy, START};
use crate::fleet::lease::{Leases, Take};

const TIMEOUT: Nanos = Nanos::from_millis(50);
const WINDOWS: u64 = 3;

/// A fleet, and the requests that it gets.
#[derive(Clone, Debug)]
struct Case {
    leases: Leases,
    network: Network,
    proxies: Vec<Proxy>,
    /// Requests in a window, for all keys.
    requests: u64,
    keys: u64,
    max_cost: u32,
    returned: f64,
    seed: u64,
}

fn networks() -> impl Strategy<Value = Network> {
    let up_to = |most: u64| (0..=most).prop_map(Nanos::new);
    (
        up_to(20_000_000),
        up_to(30_000_000),
        up_to(10_000_000),
        prop_oneof![Just(0.0), 0.0..0.3],
        prop_oneof![Just(0.0), 0.0..0.3],
        any::<bool>(),
    )
        .prop_map(
            |(least, more, processing, lost_calls, lost_answers, late_answers)| Network {
                latency: (least, least + more),
                processing: (Nanos::ZERO, processing),
                lost_calls,
                lost_answers,
                late_answers,
            },
        )
}

fn cases() -> impl Strategy<Value = Case> {
    let leases = (1..200_u32, 1..=100_u32, 1..400_u32, 0..3_usize).prop_map(
        |(max, share, requests, unit)| Leases {
            max,
            share,
            timeout: TIMEOUT,
            requests,
            per: Nanos::from_secs([10, 60, 3_600][unit]),
            holds: false,
        },
    );
    let proxy = (0..120_000_u64, -450..=450_i64)
        .prop_map(|(ahead, faster)| Proxy::new(Nanos::from_millis(ahead), faster));
    (
        leases,
        networks(),
        prop::collection::vec(proxy, 1..6),
        1..1_500_u64,
        1..4_u64,
        1..4_u32,
        prop_oneof![Just(0.0), 0.0..0.5],
        any::<u64>(),
    )
        .prop_map(
            |(leases, network, proxies, requests, keys, max_cost, returned, seed)| Case {
                leases,
                network,
                proxies,
                requests,
                keys,
                max_cost,
                returned,
                seed,
            },
        )
}

impl Case {
    fn fleet(&self) -> Fleet {
        let Leases { requests, per, .. } = self.leases;
        let service = Service::new(Counting::AddThenCompare, requests, per);
        let proxies = self.proxies.clone();
        let leases = Some(self.leases);
        let mut fleet = Fleet::new(service, proxies, leases, TIMEOUT, self.network, self.seed);
        fleet.returned = self.returned;
        fleet
    }

    /// Sends the requests at random, more of them around the ends of windows, and lets all end.
    fn run(&self) -> Fleet {
        let mut fleet = self.fleet();
        let mut random = Random(!self.seed);
        let per = self.leases.per;
        for i in 0..self.requests * WINDOWS {
            let window = per * (i / self.requests);
            let at = match random.below(5) {
                3.. => {
                    per - Nanos::from_millis(random.below(80))
                        + Nanos::from_millis(random.below(80))
                }
                0 => Nanos::new(random.below(3 * Nanos::SECOND.get())),
                1 => per - Nanos::new(random.below(2 * Nanos::SECOND.get())),
                _ => Nanos::new(random.below(per.get())),
            };
            let proxy = random.below(self.proxies.len() as u64) as usize;
            let cost = 1 + random.below(self.max_cost.into()) as u32;
            fleet.send(START + window + at, proxy, random.below(self.keys), cost);
        }
        fleet.run_until(START + per * WINDOWS + Nanos::from_secs(5));
        fleet
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The three promises, in one simulation each.
    #[test]
    fn no_window_admits_more_than_its_limit(case in cases()) {
        let fleet = case.run();
        let limit = u64::from(case.leases.requests);
        for ((key, window), admitted) in &fleet.totals.admitted {
            prop_assert!(*admitted <= limit, "key {key}, window {window}: {admitted} of {limit}");
        }

        // Each hit that the service granted was used once, is held, or is accounted for as lost.
        let totals = &fleet.totals;
        let admitted: u64 = totals.admitted.values().sum();
        if case.returned == 0.0 {
            let found = admitted + totals.wasted + totals.lost + fleet.held();
            prop_assert_eq!(found, fleet.service.granted);
        }

        // Without losses on the way, what is wasted is at most one lease for each proxy, key and window.
        if case.returned == 0.0 {
            let largest = case.leases.largest(case.leases.requests);
            let leases = (WINDOWS + 1) * case.keys * case.proxies.len() as u64;
            let bound = u64::from(largest) * leases;
            prop_assert!(totals.wasted <= bound, "{} of {bound}", totals.wasted);
        }

        // No key is blocked: after the timeout and the end of the window, a request gets a token or asks.
        let mut fleet = fleet;
        fleet.run_until(fleet.now + case.leases.per * 2 + Nanos::from_secs(5));
        for proxy in 0..case.proxies.len() {
            for key in 0..case.keys {
                let (lease, now) = fleet.lease(proxy, key);
                let take = case.leases.take(lease, 1, true, now, now).outcome;
                let is_free = matches!(take, Take::Ask(_) | Take::Taken(_) | Take::TakenAndRenew(..));
                prop_assert!(is_free, "{take:?}");
            }
        }
    }
}

/// Four proxies, more requests than the limit, and a network without losses.
#[test]
fn a_limit_is_nearly_used_up() {
    let case = Case {
        leases: crate::fleet::lease::tests::LEASES,
        network: Network {
            latency: (Nanos::from_millis(1), Nanos::from_millis(3)),
            processing: (Nanos::ZERO, Nanos::MILLISECOND),
            lost_calls: 0.0,
            lost_answers: 0.0,
            late_answers: false,
        },
        proxies: vec![Proxy::default(); 4],
        requests: 5_000,
        keys: 1,
        max_cost: 1,
        returned: 0.0,
        seed: 1,
    };
    let fleet = case.run();
    for window in 0..WINDOWS {
        let window = fleet.service.window(START) + window;
        let admitted = fleet.totals.admitted[&(0, window)];
        assert!((970..=1_000).contains(&admitted), "{admitted}");
    }
    assert_eq!(fleet.totals.undecided, 0);
    assert!(fleet.totals.calls < 1_500, "{}", fleet.totals.calls);
}
