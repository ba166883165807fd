//! With leases, hardly a request waits for the service.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::fleet::within_a_window;
use portcullis_envoy_tests::open_load;
use portcullis_ratelimit_service::Fault;

use super::plugin::{Limit, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

/// More than is sent.
const LIMIT: u32 = 60_000;
const REQUESTS: usize = 2_000;
/// Per second: a lease of 100 lasts for some tenths of a second.
const RATE: u32 = 500;
/// The time that the service takes.
const DELAY: Duration = Duration::from_millis(5);

fn waited(envoy: &Envoy) -> u64 {
    let stats = envoy.stats_like("fleet_waited$");
    stats.with_prefix("").map(|(_, value)| value).sum()
}

fn small(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

#[test]
fn of_a_busy_key_few_requests_wait() {
    let limit = Limit::new(LIMIT, "lease");
    let Some(fleet) = limit.fleet(2) else {
        return;
    };
    fleet.service().fail(Fault::Delay(DELAY));
    let mut attempt = 0;
    let (statuses, calls, waits) = within_a_window(MINUTE, || {
        attempt += 1;
        let sums = || -> (u64, u64) {
            let waits = fleet.envoys().iter().map(waited).sum();
            (fleet.service().calls(), waits)
        };
        let before = sums();
        let addresses: Vec<_> = (fleet.envoys().iter())
            .map(|envoy| envoy.address(PLAIN))
            .collect();
        let outcomes = open_load::run(&addresses, RATE, REQUESTS, &with_key(attempt));
        let outcomes = outcomes.unwrap_or_else(|error| panic!("{error}"));
        let statuses: Vec<u16> = outcomes.iter().map(|outcome| outcome.status).collect();
        let after = sums();
        (
            statuses,
            small(after.0 - before.0),
            small(after.1 - before.1),
        )
    });

    assert_eq!(admitted(&[statuses], 429), REQUESTS);
    println!("{calls} calls, and {waits} of {REQUESTS} requests waited");
    // The first ones must wait. On a busy machine, leases are used up before their renewals arrive.
    assert!(waits > 0);
    assert!(waits <= REQUESTS / 10, "{waits} requests waited");
    assert!(calls <= REQUESTS / 20, "{calls} calls");
    assert_no_vm_failed(&fleet);
}
