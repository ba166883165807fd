//! Our messages against Envoy's own definitions.

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3 as theirs;
use envoy_types::pb::google::protobuf as well_known;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;
use theirs::rate_limit_response::rate_limit::Unit;
use theirs::rate_limit_response::{DescriptorStatus, RateLimit};

use crate::fleet::messages::{
    AddedHeader, Code, CurrentLimit, Descriptor, MAX_ANSWER, Response, Status, encode_request,
};
use crate::fleet::reserve::{
    Reservation, decode_commit, encode_commit, encode_reserve, encode_target,
};
use portcullis_core::protobuf::{Fields, Malformed, Value};
use portcullis_core::time::Nanos;

fn descriptor(entries: &[(&'static str, &'static str)], hits: u32) -> Descriptor<'static> {
    let entries = entries.iter().map(|(name, value)| (*name, (*value).into()));
    Descriptor {
        entries: entries.collect(),
        hits,
    }
}

fn their_request(descriptors: &[Descriptor<'_>]) -> theirs::RateLimitRequest {
    let bytes = encode_request("edge", descriptors);
    theirs::RateLimitRequest::decode(&bytes[..]).unwrap()
}

/// The hits that envoyproxy/ratelimit adds for each descriptor.
fn hits(request: &theirs::RateLimitRequest) -> Vec<u64> {
    let of = |descriptor: &RateLimitDescriptor| match &descriptor.hits_addend {
        Some(hits) => hits.value,
        None => request.hits_addend.max(1).into(),
    };
    request.descriptors.iter().map(of).collect()
}

#[test]
fn envoy_reads_our_request() {
    let request = their_request(&[
        descriptor(&[("remote_address", "192.0.2.1"), ("generic_key", "a")], 5),
        descriptor(&[("api_key", "ключ")], 5),
    ]);
    let entry = |key: &str, value: &str| Entry {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(request.domain, "edge");
    assert_eq!(request.hits_addend, 5);
    let entries: Vec<_> = request.descriptors.iter().map(|own| &own.entries).collect();
    assert_eq!(
        entries,
        [
            &vec![
                entry("remote_address", "192.0.2.1"),
                entry("generic_key", "a")
            ],
            &vec![entry("api_key", "ключ")],
        ]
    );
    assert!(
        request
            .descriptors
            .iter()
            .all(|own| own.hits_addend.is_none())
    );
}

#[test]
fn each_descriptor_has_its_hits() {
    let one = &[("a", "b")][..];
    for counts in [&[7][..], &[0], &[3, 3], &[1, 50], &[0, 2, 0], &[0, 0]] {
        let descriptors: Vec<_> = counts.iter().map(|hits| descriptor(one, *hits)).collect();
        let expected: Vec<u64> = counts.iter().map(|hits| u64::from(*hits)).collect();
        assert_eq!(hits(&their_request(&descriptors)), expected);
    }
}

fn number(value: f64) -> well_known::Value {
    well_known::Value {
        kind: Some(well_known::value::Kind::NumberValue(value)),
    }
}

fn header(key: &str, value: &str, raw_value: &[u8]) -> HeaderValue {
    HeaderValue {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: raw_value.to_vec(),
    }
}

fn added(name: &str, value: &[u8]) -> AddedHeader {
    AddedHeader {
        name: name.to_owned(),
        value: value.to_vec(),
    }
}

#[test]
fn we_read_envoys_response() {
    let response = theirs::RateLimitResponse {
        overall_code: 2,
        statuses: vec![
            DescriptorStatus {
                code: 2,
                current_limit: Some(RateLimit {
                    name: "per-tenant".to_owned(),
                    requests_per_unit: 1000,
                    unit: Unit::Minute.into(),
                }),
                limit_remaining: 0,
                duration_until_reset: Some(well_known::Duration {
                    seconds: 42,
                    nanos: 5,
                }),
                quota: None,
            },
            DescriptorStatus {
                code: 1,
                limit_remaining: u32::MAX,
                ..DescriptorStatus::default()
            },
        ],
        response_headers_to_add: vec![
            header("X-RateLimit-Limit", "1000", b""),
            header("x-raw", "", b"\xff"),
            header(":status", "200", b""),
            header("x-split", "a\r\nb: c", b""),
            header("", "a", b""),
        ],
        request_headers_to_add: vec![header("x-tenant", "a", b"")],
        raw_body: b"slow down".to_vec(),
        dynamic_metadata: Some(well_known::Struct {
            fields: [("hits".to_owned(), number(3.0))].into_iter().collect(),
        }),
        quota: None,
    };
    let decoded = Response::decode(&response.encode_to_vec(), 2).unwrap();
    let metadata = json!({"hits": 3});
    assert_eq!(
        decoded,
        Response {
            overall_code: Code::OverLimit,
            statuses: vec![
                Status {
                    code: Code::OverLimit,
                    current_limit: Some(CurrentLimit {
                        name: "per-tenant".to_owned(),
                        requests_per_unit: 1000,
                        unit: Some(Nanos::from_secs(60)),
                    }),
                    limit_remaining: 0,
                    duration_until_reset: Some(Nanos::new(42_000_000_005)),
                },
                Status {
                    code: Code::Ok,
                    limit_remaining: u32::MAX,
                    ..Status::default()
                },
            ],
            response_headers_to_add: vec![
                added("x-ratelimit-limit", b"1000"),
                added("x-raw", b"\xff")
            ],
            request_headers_to_add: vec![added("x-tenant", b"a")],
            raw_body: b"slow down".to_vec(),
            dynamic_metadata: metadata.as_object().cloned(),
            invalid_headers: 3,
        }
    );
}

#[test]
fn every_unit_has_its_length() {
    for (unit, seconds) in [
        (Unit::Second, Some(1)),
        (Unit::Minute, Some(60)),
        (Unit::Hour, Some(3_600)),
        (Unit::Day, Some(86_400)),
        (Unit::Week, Some(7 * 86_400)),
        (Unit::Month, Some(30 * 86_400)),
        (Unit::Year, Some(365 * 86_400)),
        (Unit::Unknown, None),
    ] {
        let limit = RateLimit {
            unit: unit.into(),
            ..RateLimit::default()
        };
        let response = with_status(DescriptorStatus {
            current_limit: Some(limit),
            ..DescriptorStatus::default()
        });
        let limit = response.unwrap().statuses[0].current_limit.clone().unwrap();
        assert_eq!(limit.unit, seconds.map(Nanos::from_secs), "{unit:?}");
    }
}

fn with_status(status: DescriptorStatus) -> Result<Response, Malformed> {
    let response = theirs::RateLimitResponse {
        statuses: vec![status],
        ..theirs::RateLimitResponse::default()
    };
    Response::decode(&response.encode_to_vec(), 1)
}

#[test]
fn a_window_that_is_over_ends_at_once() {
    let until = |seconds, nanos| {
        let duration = well_known::Duration { seconds, nanos };
        let response = with_status(DescriptorStatus {
            duration_until_reset: Some(duration),
            ..DescriptorStatus::default()
        });
        response.map(|response| response.statuses[0].duration_until_reset)
    };
    assert_eq!(until(-5, -1), Ok(Some(Nanos::ZERO)));
    assert_eq!(until(i64::MAX, 0), Ok(Some(Nanos::MAX)));
    assert_eq!(until(0, i32::MAX), Err(Malformed));
}

#[test]
fn an_answer_is_bounded() {
    let status = DescriptorStatus::default();
    let response = |statuses, headers, body| theirs::RateLimitResponse {
        statuses: vec![status.clone(); statuses],
        response_headers_to_add: vec![header("a", "b", b""); headers],
        raw_body: vec![b'a'; body],
        ..theirs::RateLimitResponse::default()
    };
    for (statuses, headers, body, is_read) in [
        (2, 64, 1000, true),
        (3, 0, 0, false),
        (0, 65, 0, false),
        (0, 0, MAX_ANSWER, false),
    ] {
        let bytes = response(statuses, headers, body).encode_to_vec();
        assert_eq!(
            Response::decode(&bytes, 2).is_ok(),
            is_read,
            "{statuses} {headers} {body}"
        );
    }
}

#[test]
fn a_reservation_is_written_and_read() {
    let entries = [("api_key", "a".into())];
    let target = encode_target("edge", &entries);
    let bytes = encode_reserve(&target, 50, Nanos::from_millis(2_500));
    let fields: Vec<_> = Fields::of(&bytes).map(Result::unwrap).collect();
    assert_eq!(
        fields,
        [
            (1, Value::Bytes(b"edge")),
            (2, Value::Bytes(b"\x0a\x0c\x0a\x07api_key\x12\x01a")),
            (3, Value::Number(50)),
            (4, Value::Bytes(b"\x08\x02\x10\x80\xca\xb5\xee\x01")),
        ]
    );
    let bytes = encode_commit(&target, "id-1", 48);
    let fields: Vec<_> = Fields::of(&bytes).map(Result::unwrap).collect();
    assert_eq!(
        fields,
        [
            (1, Value::Bytes(b"edge")),
            (2, Value::Bytes(b"\x0a\x0c\x0a\x07api_key\x12\x01a")),
            (3, Value::Bytes(b"id-1")),
            (4, Value::Number(48)),
        ]
    );

    let held = Reservation::decode(b"\x08\x01\x12\x04id-1").unwrap();
    assert_eq!((held.code, held.id.as_str()), (Code::Ok, "id-1"));
    assert_eq!(
        Reservation::decode(b"\x08\x02").unwrap().code,
        Code::OverLimit
    );
    // No limit matches.
    assert_eq!(Reservation::decode(b"\x08\x01").unwrap().id, "");
    let overlong = [&b"\x08\x01\x12\x81\x02"[..], &[b'a'; 257]].concat();
    assert_eq!(Reservation::decode(&overlong), Err(Malformed));
    assert_eq!(decode_commit(b"\x08\x01"), Ok(true));
    assert_eq!(decode_commit(b""), Ok(false));
}

fn statuses() -> impl Strategy<Value = Vec<DescriptorStatus>> {
    let status = (0..4_i32, 0..9_i32, any::<(u32, u32, i64, u32)>()).prop_map(
        |(code, unit, (requests_per_unit, limit_remaining, seconds, nanos))| DescriptorStatus {
            code,
            current_limit: (unit < 8).then(|| RateLimit {
                name: String::new(),
                requests_per_unit,
                unit,
            }),
            limit_remaining,
            duration_until_reset: (nanos % 2 == 0).then_some(well_known::Duration {
                seconds,
                nanos: (nanos % 1_000_000_000) as i32,
            }),
            quota: None,
        },
    );
    prop::collection::vec(status, 0..4)
}

proptest! {
    #[test]
    fn we_read_every_status(statuses in statuses(), code in 0..3_i32) {
        let response = theirs::RateLimitResponse {
            overall_code: code,
            statuses,
            ..theirs::RateLimitResponse::default()
        };
        let decoded = Response::decode(&response.encode_to_vec(), 4).unwrap();
        prop_assert_eq!(decoded.statuses.len(), response.statuses.len());
        for (ours, theirs) in decoded.statuses.iter().zip(&response.statuses) {
            prop_assert_eq!(ours.code == Code::Ok, theirs.code == 1);
            prop_assert_eq!(ours.code == Code::OverLimit, theirs.code == 2);
            prop_assert_eq!(ours.limit_remaining, theirs.limit_remaining);
            prop_assert_eq!(ours.current_limit.is_some(), theirs.current_limit.is_some());
            let reset = theirs.duration_until_reset.as_ref().map(|reset| {
                let [seconds, nanos] = [reset.seconds, reset.nanos.into()].map(|part| part.max(0) as u64);
                Nanos::from_secs(seconds) + Nanos::new(nanos)
            });
            prop_assert_eq!(ours.duration_until_reset, reset);
        }
    }

    /// Bytes of anybody, and valid answers with some bytes changed.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes: Vec<u8>, statuses in statuses(), changes: Vec<(prop::sample::Index, u8)>,
    ) {
        let _ = Response::decode(&bytes, 4);
        let _ = Reservation::decode(&bytes);
        let response = theirs::RateLimitResponse {
            statuses,
            response_headers_to_add: vec![header("a", "b", b"c")],
            dynamic_metadata: Some(well_known::Struct {
                fields: [("a".to_owned(), number(0.5))].into_iter().collect(),
            }),
            ..theirs::RateLimitResponse::default()
        };
        let mut encoded = response.encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        let _ = Response::decode(&encoded, 4);
    }
}
