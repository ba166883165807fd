//! A service that holds amounts until they are committed.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::fleet::{Fleet, within_a_window};
use portcullis_envoy_tests::patience::{wait_for, wait_until};
use portcullis_ratelimit_service::Fault;

use super::plugin::{Limit, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

const LIMIT: u32 = 1_000;
/// The time in which a lease ends that nobody uses, and its commit arrives.
const COMMITTED: Duration = Duration::from_secs(14);

/// What the service has counted for a key, in all windows.
fn counted(fleet: &Fleet, key: u32) -> String {
    let script = "local sum = 0 \
        for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
        if not string.find(key, '_holds') then sum = sum + redis.call('GET', key) end end \
        return sum";
    let command = format!("EVAL \"{script}\" 0 edge_api_key_{key}_*");
    fleet.redis().command(&command)
}

fn send_all(mode: &'static str) -> Option<usize> {
    let fleet = Limit::reserving(LIMIT, mode).fleet(2)?;
    let mut attempt = 0;
    let statuses = within_a_window(MINUTE, || {
        attempt += 1;
        fleet.send(1_200, move |_| with_key(attempt))
    });
    assert_no_vm_failed(&fleet);
    Some(admitted(&statuses, 429))
}

#[test]
fn two_envoys_use_up_a_limit() {
    let Some(admitted) = send_all("lease") else {
        return;
    };
    println!("2 Envoys, lease, reserve: {admitted} of {LIMIT} admitted");
    // At the end, the other one may hold a lease that it has no request for.
    let largest = 100;
    assert!(
        (LIMIT as usize - largest..=LIMIT as usize).contains(&admitted),
        "{admitted}"
    );
}

#[test]
fn two_envoys_use_up_a_limit_with_each() {
    let Some(admitted) = send_all("each") else {
        return;
    };
    assert_eq!(admitted, LIMIT as usize);
}

/// One Envoy has taken a lease and goes quiet: the other one gets what is left of it.
#[test]
fn nothing_stays_unused() {
    let Some(fleet) = Limit::reserving(100, "lease").fleet(2) else {
        return;
    };
    let statuses = |envoy: usize, requests: usize, key: u32| {
        let client = Client::http1(fleet.envoys()[envoy].address(PLAIN));
        let mut connection = client.connect();
        let mut send = || connection.send(&with_key(key)).status;
        (0..requests).filter(|_| send() == 200).count()
    };
    let mut attempt = 0;
    let passed = within_a_window(MINUTE, || {
        attempt += 1;
        let first = statuses(0, 25, attempt);
        std::thread::sleep(COMMITTED);
        (first, statuses(1, 150, attempt))
    });
    assert_eq!(passed, (25, 75));
    wait_for(|| match counted(&fleet, attempt).as_str() {
        ":100" => Ok(()),
        other => Err(format!(":100, not {other}")),
    });
    let of_limit = "portcullis.rate_limit.policy=.=edge;.;limit=.=per-tenant;.;";
    let metric = |name: &str| fleet.envoys()[0].counter(&format!("{of_limit}{name}"));
    assert!(metric("result=.=ok;.;fleet_commits") > 0);
    assert!(metric("fleet_released") > 0);
    assert_eq!(metric("fleet_wasted"), 0);
    assert_no_vm_failed(&fleet);
}

#[test]
fn a_killed_service_denies_until_it_is_back() {
    for mode in ["each", "lease"] {
        let Some(fleet) = Limit::reserving(100, mode).fleet(2) else {
            return;
        };
        let statuses = |key: &str, requests: usize| {
            let client = Client::http1(fleet.envoys()[0].address(PLAIN));
            let mut connection = client.connect();
            let mut send = || connection.send(&with_key(key)).status;
            (0..requests).map(|_| send()).collect::<Vec<u16>>()
        };
        assert_eq!(statuses("before", 10), [200; 10]);
        fleet.service().kill();
        assert_eq!(statuses("new", 20), [503; 20], "{mode}");
        fleet.service().start_again();
        wait_until(mode, || statuses("new", 1) == [200]);
        assert_no_vm_failed(&fleet);
    }
}

/// As with a Limitador before 0.14, or another service.
#[test]
fn a_service_without_the_method_is_out() {
    let allowing = Limit {
        on_outage: "allow",
        ..Limit::reserving(100, "lease")
    };
    let Some(fleet) = allowing.fleet(1) else {
        return;
    };
    fleet.service().fail(Fault::Unimplemented);
    let statuses = fleet.send(200, |_| with_key("a"));
    assert_eq!(admitted(&statuses, 429), 200);
    assert!(fleet.service().calls() < 20, "{}", fleet.service().calls());
    let log = fleet.envoys()[0].log();
    let about_it = "service main is out: it does not implement kuadrant.service.ratelimit.v1";
    let found = log
        .iter()
        .filter(|record| record.message.contains(about_it));
    assert_eq!(found.count(), 1, "{log:?}");
    assert_no_vm_failed(&fleet);
}
