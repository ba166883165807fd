//! Keys: requests that are counted separately, and requests that share a count.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{counter_by_reason, scenario, statuses};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::clients_are_told_apart_by_address",
            one_per_key(json!(["remote_address"])),
            clients_are_told_apart_by_address,
        ),
        scenario(
            "rate_limit::networks_may_be_wider",
            one_per_key(json!([{"remote_address": {"v4": 24, "v6": 48}}])),
            networks_may_be_wider,
        ),
        scenario(
            "rate_limit::hosts_are_told_apart_however_they_are_written",
            one_per_key(json!(["host"])),
            hosts_are_told_apart_however_they_are_written,
        ),
        scenario(
            "rate_limit::paths_methods_and_routes_are_told_apart",
            json!({"limits": [
                {"name": "path", "key": ["path"], "match": {"path": {"prefix": "/path/"}},
                    "rate": {"requests": 1, "per": "1h"}},
                {"name": "method", "key": ["method"], "match": {"path": {"exact": "/method"}},
                    "rate": {"requests": 1, "per": "1h"}},
                {"name": "route", "key": ["route"],
                    "match": {"headers": [{"name": "x-by-route", "present": true}]},
                    "rate": {"requests": 1, "per": "1h"}},
            ]}),
            paths_methods_and_routes_are_told_apart,
        ),
        scenario(
            "rate_limit::headers_are_told_apart_by_value",
            one_per_key(json!([{"header": "X-Api-Key"}])),
            headers_are_told_apart_by_value,
        ),
        scenario(
            "rate_limit::cookies_are_told_apart_by_value",
            one_per_key(json!([{"cookie": "session"}])),
            cookies_are_told_apart_by_value,
        ),
        scenario(
            "rate_limit::query_parameters_are_told_apart_by_value",
            one_per_key(json!([{"query": "key"}])),
            query_parameters_are_told_apart_by_value,
        ),
        scenario(
            "rate_limit::parts_do_not_run_into_each_other",
            one_per_key(json!([{"header": "x-a"}, {"header": "x-b"}, {"constant": "v1"}])),
            parts_do_not_run_into_each_other,
        ),
        scenario(
            "rate_limit::requests_without_the_key_can_be_skipped_or_denied",
            json!({"name": "edge", "limits": [
                {"name": "skip", "key": [{"header": "x-a"}], "missing": "skip",
                    "match": {"path": {"exact": "/skip"}}, "rate": {"requests": 1, "per": "1h"}},
                {"name": "deny", "key": [{"header": "x-a"}], "missing": "deny",
                    "match": {"path": {"exact": "/deny"}}, "rate": {"requests": 9, "per": "1h"}},
            ]}),
            requests_without_the_key_can_be_skipped_or_denied,
        ),
    ]
}

pub(super) fn one_per_key(key: Value) -> Value {
    json!({"limits": [{"name": "one", "key": key, "rate": {"requests": 1, "per": "1h"}}]})
}

/// Sends all requests. The requests of one list share a count, so that only the first passes.
pub(super) fn assert_counted_apart<const N: usize>(
    world: &mut dyn World,
    lists: [Vec<Request>; N],
) {
    for list in lists {
        for (position, request) in list.into_iter().enumerate() {
            let expected = if position == 0 { 200 } else { 429 };
            assert_eq!(
                world.send(request.clone()).status,
                expected,
                "number {position} of a list: {request:?}"
            );
        }
    }
}

fn from(address: &str) -> Request {
    Request::get("/").from(address.parse::<IpAddr>().expect("an address"))
}

fn clients_are_told_apart_by_address(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![from("192.0.2.1"), from("192.0.2.1")],
            vec![from("192.0.2.2")],
            // A customer has at least a /64.
            vec![from("2001:db8::1"), from("2001:db8::ffff:0:0:1")],
            vec![from("2001:db8:0:1::1")],
        ],
    );
}

fn networks_may_be_wider(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![from("192.0.2.1"), from("192.0.2.254")],
            vec![from("192.0.3.1")],
            vec![from("2001:db8::1"), from("2001:db8:0:1::1")],
            vec![from("2001:db8:1::1")],
        ],
    );
}

fn hosts_are_told_apart_however_they_are_written(world: &mut dyn World) {
    let to = |host| Request::get("/").host(host);
    assert_counted_apart(
        world,
        [
            vec![
                to("a.example"),
                to("A.Example"),
                to("a.example:8080"),
                to("a.example."),
            ],
            vec![to("b.example")],
        ],
    );
}

fn paths_methods_and_routes_are_told_apart(world: &mut dyn World) {
    let by_route = |path| Request::get(path).header("x-by-route", "1");
    assert_counted_apart(
        world,
        [
            vec![
                Request::get("/path/a"),
                Request::get("/path/a?page=2"),
                Request::get("/path/b/../a"),
                Request::get("/path//%61"),
            ],
            vec![Request::get("/path/b")],
            vec![Request::get("/method"), Request::get("/method")],
            vec![Request::post("/method")],
            vec![by_route("/a"), by_route("/b")],
            vec![by_route("/shop/a")],
        ],
    );
}

fn headers_are_told_apart_by_value(world: &mut dyn World) {
    let with = |value: &[u8]| Request::get("/").header("x-api-key", value);
    assert_counted_apart(
        world,
        [
            vec![with(b"a"), with(b"a")],
            vec![with(b"A")],
            vec![with(b"\xff\xfe"), with(b"\xff\xfe")],
            // Requests without the header, with an empty one, or with several values share a count.
            vec![
                Request::get("/"),
                with(b""),
                with(b"b").header("x-api-key", "c"),
                with(b"d").header("x-api-key", "e"),
            ],
        ],
    );
}

fn cookies_are_told_apart_by_value(world: &mut dyn World) {
    let with = |value| Request::get("/").header("cookie", value);
    assert_counted_apart(
        world,
        [
            vec![
                with("session=a"),
                with("theme=dark; session=a"),
                with("session=\"a\""),
            ],
            vec![with("session=b"), with("other=1; session=b")],
            vec![
                with("Session=a"),
                with("theme=dark"),
                with("session=c; session=d"),
                Request::get("/"),
            ],
        ],
    );
}

fn query_parameters_are_told_apart_by_value(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![
                Request::get("/?key=a+b"),
                Request::get("/other?x=1&key=a%20b"),
                Request::get("/?%6bey=a%20b"),
            ],
            vec![Request::get("/?key=a")],
            vec![
                Request::get("/"),
                Request::get("/?key="),
                Request::get("/?key=c&key=d"),
            ],
        ],
    );
}

fn parts_do_not_run_into_each_other(world: &mut dyn World) {
    let with = |a, b| Request::get("/").header("x-a", a).header("x-b", b);
    assert_counted_apart(
        world,
        [
            vec![with("a", "b_c"), with("a", "b_c")],
            vec![with("a_b", "c")],
            vec![Request::get("/").header("x-a", "a")],
            vec![Request::get("/").header("x-b", "a")],
        ],
    );
}

fn requests_without_the_key_can_be_skipped_or_denied(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/skip"), 3), [200; 3]);
    let with_key = Request::get("/skip").header("x-a", "1");
    assert_eq!(statuses(world, &with_key, 2), [200, 429]);

    let denied = world.send(Request::get("/deny"));
    assert_eq!(denied.status, 429);
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("3600"));
    let with_key = Request::get("/deny").header("x-a", "1");
    assert_eq!(statuses(world, &with_key, 9), [200; 9]);
    assert_eq!(counter_by_reason(world, "deny", "missing_key", "denied"), 1);
}
