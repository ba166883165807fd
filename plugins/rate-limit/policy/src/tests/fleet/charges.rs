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
