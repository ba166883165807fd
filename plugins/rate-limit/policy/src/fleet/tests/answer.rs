//! What a response says about a descriptor.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fleet::lease::{Answer, Life};
use crate::fleet::messages::{AddedHeader, Code, CurrentLimit, Response, Status};
use portcullis_core::time::Nanos;

const MINUTE: Nanos = Nanos::from_secs(60);

fn status(code: Code, remaining: u32) -> Status {
    Status {
        code,
        current_limit: Some(CurrentLimit {
            requests_per_unit: 1000,
            unit: Some(MINUTE),
            ..CurrentLimit::default()
        }),
        limit_remaining: remaining,
        duration_until_reset: Some(Nanos::from_secs(42)),
    }
}

fn response(overall_code: Code, statuses: Vec<Status>) -> Response {
    Response {
        overall_code,
        statuses,
        ..Response::default()
    }
}

fn of_headers(headers: &[(&str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| AddedHeader {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    });
    let response = Response {
        overall_code: Code::Ok,
        response_headers_to_add: headers.collect(),
        ..Response::default()
    };
    Answer::of(&response, 0, 1).unwrap().1
}

#[test]
fn each_descriptor_has_its_own_result() {
    let statuses = vec![status(Code::Ok, 7), status(Code::OverLimit, 0)];
    let response = response(Code::OverLimit, statuses);
    let expected = Answer {
        limit: Some(1000),
        unit: Some(MINUTE),
        remaining: Some(7),
        life: Life::Window(Nanos::from_secs(42)),
    };
    assert_eq!(Answer::of(&response, 0, 2), Some((true, expected)));
    assert_eq!(expected.retry_after(), Nanos::from_secs(42));
    assert!(!Answer::of(&response, 1, 2).unwrap().0);
}

#[test]
fn a_limit_that_the_service_only_watches_passes() {
    let response = response(Code::Ok, vec![status(Code::OverLimit, 0)]);
    assert!(Answer::of(&response, 0, 1).unwrap().0);
}

#[test]
fn a_response_without_a_decision_is_a_failure() {
    assert_eq!(Answer::of(&Response::default(), 0, 1), None);
    let undecided = response(Code::OverLimit, vec![Status::default()]);
    assert_eq!(Answer::of(&undecided, 0, 1), None);
}

#[test]
fn a_descriptor_without_a_limit_is_free() {
    let free = response(
        Code::Ok,
        vec![Status {
            code: Code::Ok,
            ..Status::default()
        }],
    );
    assert_eq!(Answer::of(&free, 0, 1).unwrap().1.life, Life::WithoutLimit);
}

#[test]
fn limitadors_headers_say_when_the_window_ends() {
    let answer = of_headers(&[
        ("x-ratelimit-limit", "1000, 1000;w=60;name=\"per-tenant\""),
        ("x-ratelimit-remaining", "940"),
        ("x-ratelimit-reset", "42"),
    ]);
    assert_eq!(
        answer,
        Answer {
            limit: Some(1000),
            unit: Some(MINUTE),
            remaining: Some(940),
            life: Life::Window(Nanos::from_secs(42)),
        }
    );
}

#[test]
fn without_a_window_no_lease_can_last() {
    for headers in [
        &[][..],
        &[
            ("x-ratelimit-limit", "1000"),
            ("x-ratelimit-remaining", "940"),
        ],
        &[("x-ratelimit-reset", "soon")],
        // The most restrictive of two limits may not be the one whose window ends first.
        &[
            ("x-ratelimit-limit", "10, 10;w=60, 5;w=1"),
            ("x-ratelimit-reset", "42"),
        ],
    ] {
        assert_eq!(of_headers(headers).life, Life::Unknown, "{headers:?}");
    }
    let refused = response(Code::OverLimit, vec![]);
    let (is_granted, answer) = Answer::of(&refused, 1, 2).unwrap();
    assert!(!is_granted);
    assert_eq!(answer.retry_after(), Nanos::SECOND);
    assert_eq!(answer.life, Life::Unknown);
}

#[test]
fn another_rate_than_the_configured_one_is_noticed() {
    let response = response(Code::Ok, vec![status(Code::Ok, 7)]);
    let (_, answer) = Answer::of(&response, 0, 1).unwrap();
    assert!(!answer.differs(1000, MINUTE));
    assert!(!answer.differs(60_000, MINUTE * 60));
    assert!(answer.differs(1001, MINUTE));
    assert!(answer.differs(1000, MINUTE * 60));
}
