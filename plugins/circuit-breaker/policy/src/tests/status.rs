//! The status view.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::reply::Reply;

fn config() -> Value {
    let mut config = json!({"name": "edge", "status_path": "/portcullis/breakers", "breakers": [
        named("payments", json!({"key": ["cluster"], "failure_rate": 50, "minimum_requests": 4,
            "max_concurrent": 100, "half_open": {"permits": 1}})),
        named("off", json!({"state": "disabled"}))
    ]});
    config["breakers"][0]["open"] = json!({"base": "5s", "jitter": 0});
    config
}

fn get(world: &mut World, method: &str, path: &str) -> Option<Reply> {
    let headers = header_map(&[(":method", method), (":path", path)]);
    let subject = Subject::new(&headers, b"");
    let is_for_status = world.policy.is_for_status(&subject);
    is_for_status.then(|| {
        world
            .policy
            .status(&subject, &world.snapshots, world.now, &mut world.store)
    })
}

fn view(world: &mut World) -> Value {
    let reply = get(world, "GET", "/portcullis/breakers").unwrap();
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn it_shows_keys_states_rates_and_time_left() {
    let mut world = World::new(config());
    let empty = view(&mut world);
    assert_eq!(empty["policy"], "edge");
    assert_eq!(empty["breakers"][0]["keys"], json!([]));
    assert_eq!(empty["breakers"][1]["state"], "disabled");

    world.calls(2, &success());
    world.call(failure());
    let under_way = world.send(&[]);
    let closed = view(&mut world);
    let breaker = &closed["breakers"][0];
    assert_eq!(
        (&breaker["name"], &breaker["state"]),
        (&json!("payments"), &json!("closed"))
    );
    assert_eq!(
        breaker["keys"],
        json!([{"key": "payments", "state": "closed", "time_left_ms": 0, "trips_in_a_row": 0,
            "results": 3, "failure_rate": 33, "slow_rate": 0, "failures_in_a_row": 0,
            "under_way": 1, "probes_out": 0, "last_trip": null}])
    );

    world.end(under_way, failure());
    world.advance(Nanos::SECOND);
    let open = view(&mut world);
    let breaker = &open["breakers"][0];
    assert_eq!(
        (&breaker["state"], &breaker["open_keys"]),
        (&json!("open"), &json!(1))
    );
    assert_eq!(
        breaker["keys"],
        json!([{"key": "payments", "state": "open", "time_left_ms": 4000, "trips_in_a_row": 1,
            "results": 0, "failure_rate": 0, "slow_rate": 0, "failures_in_a_row": 0,
            "under_way": 0, "probes_out": 0,
            "last_trip": {"reason": "rate", "failure_rate": 50, "slow_rate": 0}}])
    );

    world.advance(Nanos::from_secs(4));
    world.send(&[]);
    let half_open = view(&mut world);
    let breaker = &half_open["breakers"][0];
    assert_eq!(
        (&breaker["state"], &breaker["half_open_keys"]),
        (&json!("half_open"), &json!(1))
    );
    assert_eq!(breaker["keys"][0]["probes_out"], 1);
}

#[test]
fn it_changes_nothing() {
    let mut world = World::new(config());
    world.calls(4, &failure());
    let before = world.store.contents();
    view(&mut world);
    assert_eq!(world.store.contents(), before);
}

#[test]
fn only_get_and_only_its_path() {
    let mut world = World::new(config());
    let post = get(&mut world, "POST", "/portcullis/breakers").unwrap();
    assert_eq!(post.status, 405);
    assert!(post.headers.contains(&("allow".into(), "GET".into())));
    assert!(get(&mut world, "GET", "/portcullis/breakers?pretty").is_some());
    for path in ["/portcullis/breakers/", "/portcullis", "/", "*", ""] {
        assert!(get(&mut world, "GET", path).is_none(), "{path}");
    }
    let mut off = config();
    off["mode"] = json!("off");
    assert!(!policy(off).has_status());
    let mut without = config();
    without.as_object_mut().unwrap().remove("status_path");
    let mut world = World::new(without);
    assert!(get(&mut world, "GET", "/portcullis/breakers").is_none());
}

#[test]
fn hostile_keys_stay_text() {
    let mut world = World::new(json!({"name": "edge", "status_path": "/s", "breakers": [
        named("a", json!({"key": [{"header": "x-tenant"}], "consecutive_failures": 1}))
    ]}));
    let hostile = "\"}],<\u{1}script>";
    world.call_with(&[("x-tenant", hostile)], failure());
    let reply = get(&mut world, "GET", "/s").unwrap();
    let value: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(value["breakers"][0]["keys"][0]["key"], hostile);
}
