//! Keys of requests.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// The parts of a request that a key can use.
#[derive(Clone, Copy, Default)]
pub(super) struct Sent<'a> {
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) route: &'a str,
    pub(super) address: &'a str,
    pub(super) claims: &'a str,
    pub(super) cluster: &'a str,
}

/// For each request, the number of the first one that it shares a count with.
pub(super) fn counted(key: Value, missing: &str, requests: &[Sent<'_>]) -> Vec<Option<usize>> {
    let config = one_limit(json!({"key": key, "missing": missing}));
    let mut together = Vec::new();
    for (i, request) in requests.iter().enumerate() {
        // The first request so far that leaves no capacity for this one.
        let shares = |other: &Sent<'_>| {
            let mut world = World::new(config.clone());
            send(&mut world, other);
            let checks = decisions(&send(&mut world, request));
            assert_eq!(checks.len(), 1, "the limit applies");
            checks != [Decision::Admitted]
        };
        together.push(requests[..=i].iter().position(shares));
    }
    together
}

fn send(world: &mut World, sent: &Sent<'_>) -> Evaluation {
    let headers = header_map(sent.headers);
    let request = Request {
        subject: &Subject::new(&headers, sent.route.as_bytes()),
        remote_address: sent.address.as_bytes(),
        claims: sent.claims.as_bytes(),
        cluster: sent.cluster.as_bytes(),
    };
    world.policy.on_request(
        &request,
        world.now,
        &mut world.store,
        &mut crate::NoServices,
    )
}

/// The same for requests that differ in one header.
fn by_header(key: Value, name: &str, values: &[&str]) -> Vec<Option<usize>> {
    let headers: Vec<_> = values.iter().map(|value| [(name, *value)]).collect();
    let requests: Vec<_> = headers
        .iter()
        .map(|headers| Sent {
            headers,
            ..Sent::default()
        })
        .collect();
    counted(key, "share", &requests)
}

pub(super) fn numbers<const N: usize>(numbers: [usize; N]) -> [Option<usize>; N] {
    numbers.map(Some)
}

#[test]
fn the_host_counts_without_port_and_letter_case() {
    let hosts = ["a.example", "A.Example:8443", "a.example.", "b.example", ""];
    assert_eq!(
        by_header(json!(["host"]), ":authority", &hosts),
        numbers([0, 0, 0, 3, 4])
    );
}

#[test]
fn all_spellings_of_a_path_count_together() {
    let paths = [
        "/a/b",
        "/a/b?x=1",
        "/a/c/../%62",
        "/A/B/",
        "/a%2fb",
        "/a/%2562",
        "/a/c",
    ];
    assert_eq!(
        by_header(json!(["path"]), ":path", &paths),
        numbers([0, 0, 0, 0, 0, 0, 6])
    );
}

/// One server reads `/a`, another one `/`: the part counts as missing.
#[test]
fn a_path_that_servers_read_differently_has_no_count_of_its_own() {
    let paths = ["/a/..;/b", "/a/..;/c", "*", "/b"];
    assert_eq!(
        by_header(json!(["path"]), ":path", &paths),
        numbers([0, 0, 0, 3])
    );
}

#[test]
fn route_and_cluster_count_as_they_are() {
    let routes = ["a", "b", "a", ""].map(|route| Sent {
        route,
        ..Sent::default()
    });
    assert_eq!(
        counted(json!(["route"]), "share", &routes),
        numbers([0, 1, 0, 3])
    );
    let clusters = ["a", "b", "a", ""].map(|cluster| Sent {
        cluster,
        ..Sent::default()
    });
    assert_eq!(
        counted(json!(["cluster"]), "share", &clusters),
        numbers([0, 1, 0, 3])
    );
}

#[test]
fn a_header_counts_if_it_is_there_once() {
    let once = [("x-key", "1")];
    let other = [("x-key", "2")];
    let twice = [("x-key", "1"), ("x-key", "2")];
    let twice_more = [("x-key", "2"), ("x-key", "3")];
    let empty = [("x-key", "")];
    let requests = [&once[..], &other, &twice, &twice_more, &empty, &[]].map(|headers| Sent {
        headers,
        ..Sent::default()
    });
    assert_eq!(
        counted(json!([{"header": "X-Key"}]), "share", &requests),
        numbers([0, 1, 2, 2, 2, 2])
    );
}

#[test]
fn a_cookie_counts_wherever_it_stands() {
    let cookies = [
        "a=1; session=s1",
        "session=s1;a=2",
        " session = \"s1\" ",
        "session=s2",
        "Session=s1",
        "session=s1; session=s2",
        "session=",
        "session",
    ];
    assert_eq!(
        by_header(json!([{"cookie": "session"}]), "cookie", &cookies),
        numbers([0, 0, 0, 3, 4, 4, 4, 4])
    );
    let two_lines = [("cookie", "a=1"), ("cookie", "session=s1")];
    let one_line = [("cookie", "session=s1")];
    let requests = [&two_lines[..], &one_line].map(|headers| Sent {
        headers,
        ..Sent::default()
    });
    assert_eq!(
        counted(json!([{"cookie": "session"}]), "share", &requests),
        numbers([0, 0])
    );
}

#[test]
fn a_parameter_counts_decoded() {
    let paths = [
        "/?key=a%20b",
        "/x?y=1&key=%61+b&z",
        "/?k%65y=a%20b",
        "/?key=a%2Gb",
        "/?key=a%252Gb",
        "/?key=a&key=b",
        "/?Key=a",
        "/?key",
        "/key=a",
    ];
    assert_eq!(
        by_header(json!([{"query": "key"}]), ":path", &paths),
        numbers([0, 0, 0, 3, 3, 5, 5, 5, 5])
    );
}

#[test]
fn parts_are_not_run_together() {
    let headers = [
        [("x-a", "a"), ("x-b", "b_c")],
        [("x-a", "a_b"), ("x-b", "c")],
        [("x-a", "ab"), ("x-b", "_c")],
    ];
    let requests: Vec<_> = headers
        .iter()
        .map(|headers| Sent {
            headers,
            ..Sent::default()
        })
        .collect();
    assert_eq!(
        counted(
            json!([{"header": "x-a"}, {"header": "x-b"}]),
            "share",
            &requests
        ),
        numbers([0, 1, 2])
    );
}

#[test]
fn without_key_everything_is_counted_together() {
    assert_eq!(
        by_header(json!([]), ":path", &["/a", "/b"]),
        numbers([0, 0])
    );
    let constant = json!([{"constant": "v1"}]);
    assert_eq!(by_header(constant, ":path", &["/a", "/b"]), numbers([0, 0]));
}

#[test]
fn a_missing_part_is_shared_skipped_or_denied() {
    let limit = |missing: &str| {
        let key = json!([{"header": "x-key"}, "method"]);
        World::new(one_limit(json!({"key": key, "missing": missing})))
    };
    // Requests share a count if they agree in the other parts.
    let mut share = limit("share");
    assert_eq!(share.admitted(3, &[(":method", "GET")]), 1);
    assert_eq!(share.admitted(3, &[(":method", "POST")]), 1);

    let mut skip = limit("skip");
    assert!(skip.send(&[(":method", "GET")]).checks().is_empty());
    assert_eq!(skip.admitted(3, &[(":method", "GET"), ("x-key", "1")]), 1);

    let mut deny = limit("deny");
    let denied = deny.send(&[(":method", "GET")]);
    assert_eq!(decisions(&denied), [Decision::Denied(Reason::MissingKey)]);
    assert_eq!(deny.admitted(3, &[(":method", "GET"), ("x-key", "1")]), 1);
}

/// The caller fetches only the attributes that the policy needs.
#[test]
fn only_what_a_key_needs_is_fetched() {
    let headers = Needs {
        headers: true,
        ..Needs::default()
    };
    let route = Needs {
        route: true,
        ..Needs::default()
    };
    let remote_address = Needs {
        remote_address: true,
        ..Needs::default()
    };
    let claims = Needs {
        claims: true,
        ..Needs::default()
    };
    let cluster = Needs {
        cluster: true,
        ..Needs::default()
    };
    for (limit, expected) in [
        (json!({}), Needs::default()),
        (json!({"key": ["remote_address"]}), remote_address),
        (json!({"key": ["route"]}), route),
        (json!({"key": ["cluster"]}), cluster),
        (json!({"match": {"route": "a"}}), route),
        (json!({"match": {"path": {"exact": "/"}}}), headers),
        (
            json!({"match": {"not": {"remote_address": ["::1"]}}}),
            remote_address,
        ),
        (json!({"key": [{"claim": "sub"}]}), claims),
        (json!({"cost": {"header": "x-cost"}}), headers),
        (json!({"key": ["path"]}), headers),
        (json!({"key": [{"header": "a"}]}), headers),
        (json!({"key": [{"cookie": "a"}]}), headers),
        (json!({"key": [{"query": "a"}]}), headers),
        (
            json!({"key": [{"query": "a"}, "cluster"]}),
            headers.and(cluster),
        ),
    ] {
        assert_eq!(policy(one_limit(limit)).needs(), expected);
    }
}
