//! What clients see of a service's answers, and what the service learns about clients.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use portcullis_core::protobuf::Message;

use super::service::header;
use super::*;

#[test]
fn response_headers_show_what_the_service_says() {
    for config in [limit("k", json!({})), each("k")] {
        let mut config = with_services(vec![config]);
        config["response_headers"] = json!(["ratelimit"]);
        let mut fleet = Fleet::new(config);
        fleet.now += Nanos::from_secs(20);
        let mut passed = fleet.finish("a");
        let mut response = header_map(&[]);
        let (store, host) = (&mut fleet.store, &mut fleet.host);
        fleet
            .policy
            .on_response(&mut passed, &mut response, fleet.now, store, host);
        assert_eq!(line(&response, "ratelimit").unwrap(), "\"k\";r=99;t=40");
        fleet.admitted(99, "a");
        let denied = fleet.finish("a");
        let reply = fleet.policy.reply(&denied, 0).unwrap();
        let shown = reply
            .headers
            .iter()
            .find(|(name, _)| &name[..] == b"ratelimit");
        let shown = text(&shown.unwrap().1);
        assert!(shown.starts_with("\"k\";r=0;t="), "{shown}");
    }
}

/// A service that does not know its own windows.
#[test]
fn no_client_waits_longer_than_a_window() {
    for (config, unit) in [limit("k", json!({})), each("k")]
        .into_iter()
        .flat_map(|config| [(config.clone(), 2), (config, 0)])
    {
        let mut config = with_services(vec![config]);
        config["response_headers"] = json!(["ratelimit"]);
        let mut fleet = Fleet::new(config);
        let waiting = fleet.send("a");
        let [call] = &std::mem::take(&mut fleet.calls)[..] else {
            panic!();
        };
        let mut current = Message::default();
        current.number(1, 100).number(2, unit);
        let mut reset = Message::default();
        reset.number(1, 5_000_000_000);
        let mut status = Message::default();
        status.number(1, 2).message(2, &current).message(4, &reset);
        let mut answer = Message::default();
        answer.number(1, 2).message(2, &status);
        fleet.report(call, Some(&answer.into_bytes()));
        let denied = fleet.resume(waiting);
        let reply = fleet.policy.reply(&denied, 0).unwrap();
        let header = |name: &[u8]| {
            let header = reply.headers.iter().find(|(other, _)| other == name);
            text(&header.unwrap().1)
        };
        // A denial is remembered for up to a second more.
        let wait: u64 = header(b"retry-after").parse().unwrap();
        assert!((60..=61).contains(&wait), "{wait}");
        let shown = header(b"ratelimit");
        assert!(
            ["\"k\";r=0;t=60", "\"k\";r=0;t=61"].contains(&&*shown),
            "{shown}"
        );
    }
}

/// A client chooses the length of a value, and messages are kept.
#[test]
fn long_values_have_counts_of_their_own() {
    let of_end = |end: char| "a".repeat(60_000) + &end.to_string();
    let (one, other) = (of_end('1'), of_end('2'));
    for (mode, protocol) in [
        ("lease", "envoy"),
        ("each", "envoy"),
        ("lease", "reserve"),
        ("each", "reserve"),
    ] {
        let mut config = with_services(vec![limit("k", json!({"mode": mode}))]);
        config["services"]["main"]["protocol"] = json!(protocol);
        let mut fleet = Fleet::new(config);
        let waiting = fleet.send(&one);
        let message = fleet.calls[0].message().len();
        assert!(message < 350, "{message} bytes");
        fleet.answer();
        assert!(
            !fleet
                .resume_with(&[("x-api-key", &one)], waiting)
                .is_denied()
        );
        // The table agrees with the service: each value has its own lease, and its own count.
        assert_eq!(fleet.admitted(120, &one), 99, "{mode}");
        assert_eq!(fleet.admitted(120, &other), 100, "{mode}");
        for (_, commit) in fleet.commits() {
            assert!(commit.len() < 400, "{} bytes", commit.len());
        }
    }
}

#[test]
fn the_service_adds_headers_and_a_body() {
    let mut config = with_services(vec![each("k")]);
    config["reply"] = json!({"headers": {"content-type": "text/html"}});
    let mut fleet = Fleet::new(config);
    let mut body = Message::default();
    body.text(5, "{\"no\": 1}");
    fleet.service.additions = [
        header(3, "X-Plan", "free"),
        header(3, "content-type", "application/json"),
        header(3, "x-ratelimit-limit", "100"),
        header(4, "x-tenant", "a"),
        body.into_bytes(),
    ]
    .concat();
    let mut passed = fleet.finish("a");
    let added = passed.request_headers();
    assert_eq!(added, [("x-tenant".into(), "a".into())]);
    let mut response = header_map(&[("content-type", "text/html"), ("x-plan", "own")]);
    let (store, host) = (&mut fleet.store, &mut fleet.host);
    fleet
        .policy
        .on_response(&mut passed, &mut response, fleet.now, store, host);
    assert_eq!(line(&response, "x-plan").unwrap(), "own | free");
    assert_eq!(line(&response, "x-ratelimit-limit"), None);

    fleet.admitted(99, "a");
    let denied = fleet.finish("a");
    let reply = fleet.policy.reply(&denied, 0).unwrap();
    assert_eq!(&reply.body[..], b"{\"no\": 1}");
    let values = |wanted: &str| {
        let headers = reply.headers.iter();
        let found = headers.filter(|(name, _)| name == wanted.as_bytes());
        found.map(|(_, value)| text(value)).collect::<Vec<_>>()
    };
    assert_eq!(values("content-type"), ["application/json"]);
    assert_eq!(values("x-plan"), ["free"]);
    assert_eq!(values("x-tenant"), [""; 0]);
}

#[test]
fn the_limit_of_the_service_counts() {
    for config in [limit("k", json!({})), each("k")] {
        let mut fleet = Fleet::new(with_services(vec![config]));
        fleet.service.limits.insert("k".to_owned(), 30);
        assert_eq!(fleet.admitted(200, "a"), 30);
        let differs = fleet.events(|event| match event {
            FleetEvent::Differs { limit } => Some(limit / 30),
            _ => None,
        });
        assert!(differs > 0);
    }
}
