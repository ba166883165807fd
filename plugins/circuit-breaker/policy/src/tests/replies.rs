//! Responses in place of the upstream's.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::reply::Reply;

const GRPC: [(&str, &str); 1] = [("content-type", "application/grpc")];

fn rejected(breaker: Value, after: Nanos, request: &[(&str, &str)]) -> Reply {
    let mut world = World::new(one_breaker(breaker));
    world.call(failure());
    world.advance(after);
    let admission = world.send(&[]);
    world
        .policy
        .reply(&admission, &header_map(request))
        .unwrap()
}

fn header(reply: &Reply, name: &str) -> Option<String> {
    let headers = HeaderMap::new(reply.headers.clone());
    assert!(headers.get_all(name).count() <= 1);
    headers
        .get(name)
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn a_plain_rejection() {
    let reply = rejected(json!({"consecutive_failures": 1}), Nanos::ZERO, &[]);
    assert_eq!((reply.status, reply.grpc_status), (503, Some(14)));
    assert_eq!(reply.body, "Service unavailable\n");
    assert_eq!(header(&reply, "retry-after").unwrap(), "5");
    assert_eq!(
        header(&reply, "x-portcullis-reason").unwrap(),
        "circuit_open"
    );
    assert_eq!(header(&reply, "grpc-retry-pushback-ms"), None);
    assert_eq!(reply.details, "circuit_open{a}");
}

#[test]
fn the_time_left_is_rounded_up() {
    for (after, seconds, milliseconds) in [
        (Nanos::new(1), "5", "5000"),
        (Nanos::SECOND + Nanos::new(1), "4", "4000"),
        (Nanos::from_secs(5) - Nanos::new(1_500_000), "1", "2"),
        (Nanos::from_secs(5) - Nanos::new(1), "1", "1"),
    ] {
        let reply = rejected(json!({"consecutive_failures": 1}), after, &GRPC);
        assert_eq!(header(&reply, "retry-after").unwrap(), seconds);
        assert_eq!(
            header(&reply, "grpc-retry-pushback-ms").unwrap(),
            milliseconds
        );
    }
}

#[test]
fn the_configured_fallback() {
    let fallback =
        json!({"status": 200, "body": "[]", "headers": {"Content-Type": "application/json"}});
    let reply = rejected(
        json!({"consecutive_failures": 1, "fallback": fallback}),
        Nanos::ZERO,
        &[],
    );
    assert_eq!((reply.status, &reply.body[..]), (200, &b"[]"[..]));
    assert_eq!(header(&reply, "content-type").unwrap(), "application/json");
    assert_eq!(header(&reply, "retry-after").unwrap(), "5");
}

#[test]
fn a_half_open_circuit_says_one_second() {
    let mut world = World::new(one_breaker(json!({"consecutive_failures": 1,
        "half_open": {"permits": 1}})));
    world.call(failure());
    world.advance(Nanos::from_secs(5));
    world.send(&[]);
    let admission = world.send(&[]);
    let reply = world.policy.reply(&admission, &header_map(&GRPC)).unwrap();
    assert_eq!(header(&reply, "retry-after").unwrap(), "1");
    assert_eq!(header(&reply, "grpc-retry-pushback-ms").unwrap(), "1000");
    assert_eq!(header(&reply, "x-portcullis-reason").unwrap(), "half_open");
}

/// A request beyond the limit does not get the fallback, which is about the upstream.
#[test]
fn a_full_bulkhead_has_its_own_reply() {
    let mut world = World::new(one_breaker(json!({"max_concurrent": 1,
        "fallback": {"status": 200, "body": "[]"}})));
    world.send(&[]);
    let admission = world.send(&[]);
    let reply = world.policy.reply(&admission, &header_map(&[])).unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(reply.body, "Too many requests under way\n");
    assert_eq!(header(&reply, "x-portcullis-reason").unwrap(), "bulkhead");
    assert_eq!(header(&reply, "retry-after").unwrap(), "1");
}

/// The reply to a failing response, and its result.
fn failed(fallback: Value, mut ending: Ending) -> (Option<Reply>, Verdict) {
    let mut world = World::new(one_breaker(
        json!({"consecutive_failures": 1, "fallback": fallback}),
    ));
    let mut admission = world.send(&[]);
    let headers = ending.headers.clone().unwrap();
    world
        .policy
        .on_response(&mut admission, &headers, world.now);
    let reply = match world.policy.may_fall_back(&admission) {
        true => world
            .policy
            .fallback(&mut admission, &mut ending)
            .map(|(_, reply)| reply),
        false => None,
    };
    // Envoy now describes our own reply.
    let end = match reply {
        Some(_) => neutral(),
        None => ending,
    };
    let mut end = end;
    let records = world
        .policy
        .on_log(&mut admission, &mut end, world.now, &mut world.store);
    (reply, records[0].verdict)
}

#[test]
fn a_fallback_can_replace_a_failure_which_counts_all_the_same() {
    let on_failure = json!({"on_failure": true, "status": 200, "body": "[]"});
    let (reply, outcome) = failed(on_failure.clone(), failure());
    let reply = reply.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &b"[]"[..]));
    assert_eq!(
        header(&reply, "x-portcullis-reason").unwrap(),
        "upstream_failure"
    );
    assert_eq!(header(&reply, "retry-after"), None);
    assert_eq!(outcome, Verdict::Failure);

    let asking = answer(&[(":status", "503"), ("retry-after", "17")]);
    let (reply, _) = failed(on_failure, asking);
    assert_eq!(header(&reply.unwrap(), "retry-after").unwrap(), "17");
}

#[test]
fn nothing_else_is_replaced() {
    let on_failure = json!({"on_failure": true});
    for (ending, expected) in [
        (success(), Verdict::Success),
        (status("404"), Verdict::Success),
        (neutral(), Verdict::Neutral),
    ] {
        let (reply, outcome) = failed(on_failure.clone(), ending);
        assert!(reply.is_none());
        assert_eq!(outcome, expected);
    }
    let (reply, outcome) = failed(json!({}), failure());
    assert!(reply.is_none());
    assert_eq!(outcome, Verdict::Failure);
}

/// Its headers looked well, and were sent on.
#[test]
fn a_response_that_breaks_off_is_a_failure_but_not_replaced() {
    let mut world = World::new(one_breaker(
        json!({"consecutive_failures": 1, "fallback": {"on_failure": true}}),
    ));
    let mut admission = world.send(&[]);
    let headers = header_map(&[(":status", "404")]);
    world
        .policy
        .on_response(&mut admission, &headers, world.now);
    assert!(world.policy.may_fall_back(&admission));
    assert!(
        world
            .policy
            .fallback(&mut admission, &mut status("404"))
            .is_none()
    );
    let mut broken = Ending {
        details: "upstream_reset_after_response_started{protocol_error}",
        flags: 0x80_0000,
        ..status("404")
    };
    let records = world
        .policy
        .on_log(&mut admission, &mut broken, world.now, &mut world.store);
    assert_eq!(records[0].verdict, Verdict::Failure);
}
