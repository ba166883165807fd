//! The status view.

use serde_json::{Value, json};

use super::{failure, named, ok, plugin, scenario};
use crate::{Request, Response, SHOP_PREFIX, Scenario, Upstream, World};

const PATH: &str = "/portcullis/breakers";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::the_status_view_shows_all_circuits",
            &config(true),
            view,
        ),
        scenario(
            "circuit_breaker::without_a_status_path_there_is_no_view",
            &config(false),
            no_view,
        ),
        Scenario {
            name: "circuit_breaker::an_instance_of_the_same_name_shows_the_same_circuits",
            filters: vec![plugin(&only_shows()), plugin(&config(false))],
            story: view,
        },
    ]
}

fn config(has_view: bool) -> Value {
    let mut config = json!({"name": "edge", "breakers": [
        named("routes", json!({"key": ["cluster", "route"], "consecutive_failures": 2,
            "failure_rate": 50, "open": {"base": "1m", "jitter": 0},
            "match": {"headers": [{"name": "x-tried", "present": true}]}}))
    ]});
    if has_view {
        config["status_path"] = json!(PATH);
    }
    config
}

/// The same circuits in an instance that these requests do not pass, as on an internal listener.
fn only_shows() -> Value {
    let mut config = config(true);
    config["breakers"][0]["match"] = json!({"path": {"prefix": "/elsewhere"}});
    config
}

fn try_path(world: &mut dyn World, path: &str) -> Response {
    world.send(Request::get(path).header("x-tried", "1"))
}

fn view(world: &mut dyn World) {
    assert_eq!(try_path(world, "/").status, 200);
    world.upstream(Upstream::Answers(failure()));
    for _ in 0..2 {
        try_path(world, &format!("{SHOP_PREFIX}a"));
    }
    world.upstream(Upstream::Answers(ok()));
    world.received();

    let response = world.send(Request::get(PATH));
    assert_eq!(response.status, 200);
    let content_type = response.get_header("content-type");
    assert_eq!(content_type.as_deref(), Some("application/json"));
    assert_eq!(world.received(), [], "the filter answers by itself");
    let view: Value = serde_json::from_slice(&response.body).expect("it is JSON");
    assert_eq!(view["policy"], "edge");
    let breaker = &view["breakers"][0];
    assert_eq!(breaker["name"], "routes");
    assert_eq!(
        (&breaker["state"], &breaker["open_keys"]),
        (&json!("open"), &json!(1))
    );
    let [open, closed] = breaker["keys"].as_array().expect("a list").as_slice() else {
        panic!("{view:#}");
    };
    assert_eq!(
        (&open["key"], &open["state"]),
        (&json!("upstream, shop"), &json!("open"))
    );
    let left = open["time_left_ms"].as_u64().expect("a number");
    assert!((1..=60_000).contains(&left), "{left}");
    assert_eq!(open["last_trip"]["reason"], "consecutive");
    let closed = (&closed["key"], &closed["state"], &closed["results"]);
    assert_eq!(
        closed,
        (&json!("upstream, default"), &json!("closed"), &json!(1))
    );

    assert_eq!(world.send(Request::post(PATH)).status, 405);
}

fn no_view(world: &mut dyn World) {
    assert_eq!(world.send(Request::get(PATH)).status, 200);
    assert_eq!(world.received().len(), 1, "a path like any other");
}
