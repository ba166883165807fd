//! Costs that the response shows.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn charging(cost: u32) -> Fleet {
    let mut config = limit("k", json!({}));
    config["cost"] = json!(cost);
    config["charge_response"] = json!({"header": "x-cost"});
    Fleet::new(with_services(vec![config]))
}

fn respond(fleet: &mut Fleet, evaluation: &mut Evaluation, cost: &str) {
    let mut response = header_map(&[("x-cost", cost)]);
    let (store, host) = (&mut fleet.store, &mut fleet.host);
    fleet
        .policy
        .on_response(evaluation, &mut response, fleet.now, store, host);
}

#[test]
fn less_returns_to_the_lease() {
    let mut fleet = charging(10);
    // The first answer makes the window known.
    let mut first = fleet.finish("a");
    fleet.now += Nanos::SECOND;
    respond(&mut fleet, &mut first, "4");
    assert_eq!(fleet.returned() + fleet.wasted(), 6);
    let mut second = fleet.finish("a");
    let counted = fleet.service.count("k=a", fleet.now);
    respond(&mut fleet, &mut second, "0");
    assert_eq!(fleet.returned(), 10 + 6 - fleet.wasted());
    // The third request has the ten that the second one returned.
    assert_eq!(decisions(&fleet.send("a")), [Decision::Admitted]);
    assert_eq!(fleet.service.count("k=a", fleet.now), counted);
}

#[test]
fn more_is_a_debt() {
    let mut fleet = charging(1);
    let mut first = fleet.finish("a");
    respond(&mut fleet, &mut first, "60");
    let second = fleet.finish("a");
    assert!(!second.is_denied());
    let counted = fleet.service.count("k=a", fleet.now);
    assert!((61..=70).contains(&counted), "{counted}");
}

/// A request whose call is lost, and which the local limiter admits.
fn without_the_service(fleet: &mut Fleet) -> Evaluation {
    let waiting = fleet.send("a");
    fleet.fail();
    let passed = fleet.resume(waiting);
    assert_eq!(decisions(&passed), [Decision::Admitted]);
    passed
}

/// The hits of the next call that the service answers.
fn next_hits(fleet: &mut Fleet) -> u32 {
    let calls = fleet.service.calls.len();
    fleet.finish("a");
    fleet.service.calls[calls][0].1
}

#[test]
fn less_is_no_debt_after_an_outage() {
    for is_known in [false, true] {
        let mut fleet = charging(10);
        if is_known {
            fleet.finish("a");
        }
        let mut first = without_the_service(&mut fleet);
        let mut second = without_the_service(&mut fleet);
        respond(&mut fleet, &mut first, "0");
        respond(&mut fleet, &mut second, "3");
        assert_eq!(next_hits(&mut fleet), 10 + 3, "{is_known}");
    }
}

/// The local limiter, too, gets back what was not used.
#[test]
fn less_makes_room_in_an_outage() {
    let mut fleet = charging(40);
    for _ in 0..20 {
        let mut passed = fleet.send_in_vain();
        assert_eq!(decisions(&passed), [Decision::Admitted]);
        respond(&mut fleet, &mut passed, "1");
    }
    fleet.now += Nanos::SECOND;
    assert_eq!(next_hits(&mut fleet), 40 + 20);
}

#[test]
fn more_is_a_debt_of_an_outage() {
    let mut fleet = charging(10);
    let mut passed = without_the_service(&mut fleet);
    respond(&mut fleet, &mut passed, "50");
    assert_eq!(passed.checks()[0].quota.unwrap().remaining, 50);
    assert_eq!(next_hits(&mut fleet), 10 + 50);
}

#[test]
fn statuses_that_cost_nothing_are_no_debt_after_an_outage() {
    let mut config = limit("k", json!({}));
    config["charge_response"] = json!({"statuses": [401]});
    let mut fleet = Fleet::new(with_services(vec![config]));
    let mut paid = 0;
    for status in ["200", "401", "500"] {
        let mut passed = without_the_service(&mut fleet);
        let mut response = header_map(&[(":status", status)]);
        let (store, host) = (&mut fleet.store, &mut fleet.host);
        fleet
            .policy
            .on_response(&mut passed, &mut response, fleet.now, store, host);
        paid += u32::from(status == "401");
        fleet.host.states = Default::default();
    }
    assert_eq!(next_hits(&mut fleet), 1 + paid);
}

/// A debt of a request that another service denies later is none.
#[test]
fn a_request_that_does_not_pass_owes_nothing() {
    let other = limit("l", json!({"service": "other", "on_outage": "deny"}));
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({})), other]));
    let waiting = fleet.send("a");
    fleet.lose(0);
    let waiting = fleet.resume(waiting);
    assert!(waiting.is_pending());
    fleet.fail();
    let denied = fleet.resume(waiting);
    assert!(denied.is_denied());
    assert_eq!(next_hits(&mut fleet), 1);
}

#[test]
fn a_client_that_goes_owes_nothing() {
    let other = limit("l", json!({"service": "other"}));
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({})), other]));
    let waiting = fleet.send("a");
    fleet.lose(0);
    let mut waiting = fleet.resume(waiting);
    fleet.cancel(&mut waiting);
    fleet.answer();
    assert_eq!(next_hits(&mut fleet), 1);
}

#[test]
fn each_cannot_be_charged() {
    let mut config = each("k");
    config["charge_response"] = json!({"header": "x-cost"});
    let text = with_services(vec![config]).to_string();
    let errors = portcullis_core::config::read::<crate::Config>(text.as_bytes()).unwrap_err();
    assert!(
        errors
            .to_string()
            .starts_with("$.limits[0].fleet: found the mode \"each\" with \"charge_response\""),
        "{errors}"
    );
}
