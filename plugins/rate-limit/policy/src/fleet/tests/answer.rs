//! What a response says about a descriptor.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fleet::lease::{Answer, Life, Verdict};
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
    let granted = (Verdict::Granted, expected);
    assert_eq!(Answer::of(&response, 0, 2), Some(granted));
    assert_eq!(expected.retry_after(MINUTE), Nanos::from_secs(42));
    assert_eq!(Answer::of(&response, 1, 2).unwrap().0, Verdict::Refused);
}

/// The overall code decides about the call, and statuses about its descriptors.
#[test]
fn the_overall_code_decides() {
    use Code::{Ok, OverLimit, Unknown};
    use Verdict::{Granted, Refused, RefusedTogether};

    let all: [&[Code]; 13] = [
        &[],
        &[Unknown],
        &[Ok],
        &[OverLimit],
        &[Unknown, Unknown],
        &[Unknown, Ok],
        &[Unknown, OverLimit],
        &[Ok, Unknown],
        &[Ok, Ok],
        &[Ok, OverLimit],
        &[OverLimit, Unknown],
        &[OverLimit, Ok],
        &[OverLimit, OverLimit],
    ];
    let verdicts = |overall, codes: &[Code], descriptors: usize| {
        let statuses = codes.iter().map(|code| status(*code, 7)).collect();
        let response = response(overall, statuses);
        let verdicts = (0..descriptors).map(|index| Answer::of(&response, index, descriptors));
        let verdicts = verdicts.map(|answer| answer.map(|(verdict, _)| verdict));
        verdicts.collect::<Vec<_>>()
    };
    for codes in all {
        assert_eq!(verdicts(Unknown, codes, 2), [None, None], "{codes:?}");
        assert_eq!(verdicts(Ok, codes, 2), [Some(Granted); 2], "{codes:?}");
        let expected = match codes {
            [OverLimit, OverLimit] => [Refused, Refused],
            [OverLimit, Ok] => [Refused, Granted],
            [Ok, OverLimit] => [Granted, Refused],
            [OverLimit, ..] => [Refused, RefusedTogether],
            [_, OverLimit] => [RefusedTogether, Refused],
            _ => [RefusedTogether, RefusedTogether],
        };
        let expected = expected.map(Some);
        assert_eq!(verdicts(OverLimit, codes, 2), expected, "{codes:?}");
        if codes.len() < 2 {
            assert_eq!(verdicts(Unknown, codes, 1), [None], "{codes:?}");
            assert_eq!(verdicts(Ok, codes, 1), [Some(Granted)], "{codes:?}");
            assert_eq!(verdicts(OverLimit, codes, 1), [Some(Refused)], "{codes:?}");
        }
    }
}

/// Its window counts, and only what passes can be without a limit.
#[test]
fn a_refusal_says_how_long_it_holds() {
    for code in [Code::Unknown, Code::Ok, Code::OverLimit] {
        let full = response(Code::OverLimit, vec![status(code, 7)]);
        let (_, answer) = Answer::of(&full, 0, 1).unwrap();
        assert_eq!((answer.limit, answer.remaining), (Some(1000), Some(7)));
        assert_eq!(answer.life, Life::Window(Nanos::from_secs(42)));

        let mut bare = status(code, 7);
        bare.current_limit = None;
        let bare = response(Code::OverLimit, vec![bare]);
        let (_, answer) = Answer::of(&bare, 0, 1).unwrap();
        assert_eq!(answer.life, Life::Window(Nanos::from_secs(42)));

        let nothing = Status {
            code,
            ..Status::default()
        };
        let nothing = response(Code::OverLimit, vec![nothing]);
        let (verdict, answer) = Answer::of(&nothing, 0, 1).unwrap();
        assert_eq!((verdict, answer), (Verdict::Refused, Answer::UNKNOWN));
    }
}

#[test]
fn a_limit_that_the_service_only_watches_passes() {
    let response = response(Code::Ok, vec![status(Code::OverLimit, 0)]);
    assert_eq!(Answer::of(&response, 0, 1).unwrap().0, Verdict::Granted);
}

#[test]
fn a_response_without_a_decision_is_a_failure() {
    assert_eq!(Answer::of(&Response::default(), 0, 1), None);
    let undecided = response(Code::Unknown, vec![status(Code::OverLimit, 0)]);
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
    let (verdict, answer) = Answer::of(&refused, 1, 2).unwrap();
    assert_eq!(verdict, Verdict::RefusedTogether);
    assert_eq!(answer.retry_after(MINUTE), Nanos::SECOND);
    assert_eq!(answer.life, Life::Unknown);
}

#[test]
fn no_window_lasts_longer_than_its_unit() {
    let mut answer = Answer {
        life: Life::Window(Nanos::from_secs(9_000_000_000)),
        ..Answer::UNKNOWN
    };
    assert_eq!(answer.retry_after(MINUTE), MINUTE);
    answer.unit = Some(MINUTE * 60);
    assert_eq!(answer.retry_after(MINUTE), MINUTE * 60);
    assert_eq!(answer.rest(MINUTE), Some(MINUTE * 60));
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
