//! Stop signals for callers.

use serde_json::{Value, json};

use super::{budget, failure, pay, scenario};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "retry_budget::a_failure_says_stop_when_the_budget_is_empty",
            &one_in_five(),
            stop,
        ),
        scenario(
            "retry_budget::an_upstream_that_cannot_be_reached_says_stop",
            &one_in_five(),
            unreachable,
        ),
        scenario(
            "retry_budget::a_grpc_failure_says_stop_wherever_its_status_stands",
            &budget(json!({"ratio": 0})),
            grpc,
        ),
        scenario(
            "retry_budget::a_grpc_web_failure_says_stop",
            &budget(json!({"ratio": 0})),
            grpc_web,
        ),
        scenario(
            "retry_budget::envoys_own_reply_says_nothing",
            &one_in_five(),
            no_route,
        ),
    ]
}

fn one_in_five() -> Value {
    budget(json!({"max_retries": 1, "idempotent_only": false}))
}

const MARK: &str = "x-portcullis-retry";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

fn stop(world: &mut dyn World) {
    pay(world, 10);
    world.upstream(Upstream::Answers(failure()));
    let marks = [0, 1, 2].map(|_| world.send(Request::get("/retried/")).get_header(MARK));
    // There were two retries; the second one was the last.
    let no = Some("no".to_owned());
    assert_eq!(marks, [None, no.clone(), no]);

    world.upstream(Upstream::Answers(Response::new(404)));
    assert_eq!(world.send(Request::get("/")).get_header(MARK), None);
}

fn unreachable(world: &mut dyn World) {
    world.upstream(Upstream::Unreachable);
    let response = world.send(Request::get("/"));
    assert_eq!(response.status, 503);
    assert_eq!(response.get_header(MARK).as_deref(), Some("no"));
}

fn grpc(world: &mut dyn World) {
    let request = || Request::grpc("/service/method");
    world.upstream(Upstream::Answers(Response::grpc_trailers_only(14)));
    let response = world.send(request());
    assert_eq!(response.get_header("grpc-status").as_deref(), Some("14"));
    assert_eq!(response.get_header(MARK).as_deref(), Some("no"));
    assert_eq!(response.get_header(PUSHBACK).as_deref(), Some("-1"));

    world.upstream(Upstream::Answers(Response::grpc(8)));
    let response = world.send(request());
    assert_eq!(response.get_header(PUSHBACK), None);
    assert_eq!(response.get_trailer(PUSHBACK).as_deref(), Some("-1"));

    for fine in [0, 5] {
        world.upstream(Upstream::Answers(Response::grpc(fine)));
        let response = world.send(request());
        assert_eq!(response.get_header(PUSHBACK), None);
        assert_eq!(response.get_trailer(PUSHBACK), None, "{fine}");
    }

    world.upstream(Upstream::Unreachable);
    let response = world.send(request());
    assert_eq!(response.get_header("grpc-status").as_deref(), Some("14"));
    assert_eq!(response.get_header(PUSHBACK).as_deref(), Some("-1"));
}

fn grpc_web(world: &mut dyn World) {
    let content_type = ("content-type", "application/grpc-web+proto");
    let request = || Request::post("/service/method").header(content_type.0, content_type.1);
    let response = |status: &str| {
        let response = Response::new(200).without_body();
        let response = response.header(content_type.0, content_type.1);
        Upstream::Answers(response.header("grpc-status", status))
    };
    world.upstream(response("14"));
    let failed = world.send(request());
    assert_eq!(failed.get_header(MARK).as_deref(), Some("no"));
    world.upstream(response("5"));
    assert_eq!(world.send(request()).get_header(MARK), None);
}

fn no_route(world: &mut dyn World) {
    let response = world.send(Request::get("/no-route/"));
    assert_eq!(response.status, 404);
    assert_eq!(response.get_header(MARK), None);
    let response = world.send(Request::grpc("/no-route/method"));
    assert_eq!(response.get_header(PUSHBACK), None);
}
