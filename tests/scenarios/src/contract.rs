//! The contract of [`World`]: scenarios that every implementation must pass.

use std::time::Duration;

use serde_json::json;

use crate::{
    Answer, Cluster, Filter, OTHER_PREFIX, RELOAD_TIME, RETRIED_PREFIX, Request, Response,
    SHORT_TIMEOUT_PREFIX, Scenario, Upstream, World,
};

/// Scenarios that are not about a plugin.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        without_filters("contract::services_answer_each_for_itself", services),
        without_filters("contract::an_answer_may_come_late", late),
        without_filters("contract::an_answer_may_come_too_late", too_late),
        without_filters("contract::an_answer_may_break_off", broken_off),
        without_filters("contract::grpc_ends_with_trailers", grpc),
        without_filters(
            "contract::a_retried_request_is_seen_attempt_by_attempt",
            retried,
        ),
        without_filters("contract::a_client_may_go_away", abandoned),
        without_filters("contract::clients_come_together", together),
        without_filters("contract::filters_can_be_replaced", replaced),
        Scenario {
            name: "contract::what_filters_know_outlives_a_new_configuration",
            filters: vec![Filter::Plugin {
                module: RATE_LIMIT,
                config: one_an_hour("Kept"),
            }],
            story: kept,
        },
        Scenario {
            name: "contract::what_filters_know_outlives_a_crash",
            filters: vec![Filter::CrashablePlugin {
                module: RATE_LIMIT,
                config: one_an_hour("Kept"),
            }],
            story: crashed,
        },
    ]
}

fn without_filters(name: &'static str, story: fn(&mut dyn World)) -> Scenario {
    Scenario {
        name,
        filters: Vec::new(),
        story,
    }
}

const RATE_LIMIT: &str = "rate_limit";

/// Allows one request per hour to `/limited`. The body of the reply distinguishes configurations.
fn one_an_hour(body: &str) -> String {
    let config = json!({
        "name": "edge",
        "limits": [{
            "name": "all",
            "match": {"path": {"prefix": "/limited"}},
            "rate": {"requests": 1, "per": "1h"},
        }],
        "reply": {"body": body},
    });
    config.to_string()
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|it| it.path.as_str()).collect()
}

fn services(world: &mut dyn World) {
    world.serve(Cluster::Other, Upstream::Answers(Response::new(201)));
    assert_eq!(world.send(Request::get("/a")).status, 200);
    let other = format!("{OTHER_PREFIX}b");
    assert_eq!(world.send(Request::get(&other)).status, 201);

    world.upstream(Upstream::Unreachable);
    assert_eq!(world.send(Request::get("/c")).status, 503);
    assert_eq!(world.send(Request::get(&other)).status, 201);

    let by_path = |request: &Request| match request.path.as_str() {
        "/reset" => Answer::reset(),
        _ => Response::new(202).into(),
    };
    world.upstream(Upstream::script(by_path));
    assert_eq!(world.send(Request::get("/reset")).status, 503);
    assert_eq!(world.send(Request::get("/d")).status, 202);

    assert_eq!(paths(&world.received()), ["/a", "/reset", "/d"]);
    let received = world.received_by(Cluster::Other);
    assert_eq!(paths(&received), [&other, &other]);
    assert_eq!(world.received(), [], "each request is returned once");
}

fn late(world: &mut dyn World) {
    let late = Answer::from(Response::new(200)).after(Duration::from_millis(150));
    world.upstream(Upstream::always(late));
    let request = world.begin(Request::get("/late"));
    assert_eq!(paths(&world.arrivals(Cluster::Upstream, 1)), ["/late"]);

    world.upstream(Upstream::Answers(Response::new(204).without_body()));
    assert_eq!(world.send(Request::get("/at-once")).status, 204);
    assert_eq!(world.finish(request).status, 200);
}

fn too_late(world: &mut dyn World) {
    let late = Answer::from(Response::new(200)).after(Duration::from_secs(1));
    world.upstream(Upstream::always(late));
    let response = world.send(Request::get(&format!("{SHORT_TIMEOUT_PREFIX}a")));
    assert_eq!(response.status, 504);
}

fn broken_off(world: &mut dyn World) {
    world.upstream(Upstream::always(Response::new(200).broken_off()));
    let request = world.begin(Request::get("/"));
    let response = world.finish(request);
    assert!(response.broken_off);
    assert_eq!((response.status, &*response.body), (200, &b"hello\n"[..]));
}

fn grpc(world: &mut dyn World) {
    world.upstream(Upstream::Answers(Response::grpc(14)));
    let response = world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!((response.status, response.body.len()), (200, 5));
    assert_eq!(response.get_header("grpc-status"), None);
    assert_eq!(response.get_trailer("grpc-status").as_deref(), Some("14"));

    world.upstream(Upstream::Answers(Response::grpc_trailers_only(14)));
    let response = world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(response.get_header("grpc-status").as_deref(), Some("14"));
    assert_eq!(response.trailers, []);

    let received = world.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|request| request.body.len() == 5));
}

fn retried(world: &mut dyn World) {
    let failure = || Response::new(500);
    world.upstream(Upstream::at_first(2, failure(), Response::new(200)));
    let request = Request::get(&format!("{RETRIED_PREFIX}a"));
    let response = world.send(request.clone());
    let attempts = |response: &Response| response.get_header("x-envoy-attempt-count");
    assert_eq!(response.status, 200);
    assert_eq!(attempts(&response).as_deref(), Some("3"));
    let counts: Vec<_> = world
        .received()
        .iter()
        .map(|request| request.get_header("x-envoy-attempt-count"))
        .collect();
    assert_eq!(counts, ["1", "2", "3"].map(|count| Some(count.to_owned())));

    world.upstream(Upstream::always(Answer::reset()));
    let response = world.send(request);
    assert_eq!(response.status, 503);
    assert_eq!(attempts(&response).as_deref(), Some("4"));
    assert_eq!(world.received().len(), 4);

    world.upstream(Upstream::Answers(failure()));
    let response = world.send(Request::get("/not-retried"));
    assert_eq!(attempts(&response).as_deref(), Some("1"));
}

fn abandoned(world: &mut dyn World) {
    let late = Answer::from(Response::new(200)).after(Duration::from_secs(5));
    world.upstream(Upstream::always(late));
    for request in [Request::get("/"), Request::grpc("/shop.Cart/Add")] {
        let request = world.begin(request);
        world.arrivals(Cluster::Upstream, 1);
        world.abandon(request);
    }
    world.upstream(Upstream::Answers(Response::new(200)));
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!(world.received().len(), 1);
}

fn together(world: &mut dyn World) {
    let by_path = |request: &Request| {
        let status = request
            .path
            .trim_start_matches('/')
            .parse()
            .expect("a status");
        Answer::from(Response::new(status)).after(Duration::from_millis(20))
    };
    world.upstream(Upstream::script(by_path));
    let statuses: Vec<u16> = (200..240).filter(|status| *status != 204).collect();
    let requests = statuses
        .iter()
        .map(|status| Request::get(&format!("/{status}")));
    let responses = world.send_together(requests.collect());
    let got: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(got, statuses);
    assert_eq!(world.received().len(), statuses.len());
}

fn replaced(world: &mut dyn World) {
    let late = Answer::from(Response::new(200)).after(Duration::from_millis(200));
    world.upstream(Upstream::always(late));
    let request = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);

    world.reconfigure(&[Filter::DenyAll]);
    assert_eq!(world.send(Request::get("/")).status, 403);
    assert_eq!(
        world.finish(request).status,
        200,
        "it stays with the old chain"
    );

    world.reconfigure(&[Filter::DenyAll]);
    assert_eq!(world.send(Request::get("/")).status, 403);
    world.reconfigure(&[]);
    assert_eq!(world.send(Request::get("/")).status, 200);
}

fn kept(world: &mut dyn World) {
    let limited = || Request::get("/limited");
    assert_eq!(world.send(limited()).status, 200);
    assert_eq!(world.send(limited()).body, b"Kept");
    world.reconfigure(&[Filter::Plugin {
        module: RATE_LIMIT,
        config: one_an_hour("Still kept"),
    }]);
    let denied = world.send(limited());
    assert_eq!((denied.status, &*denied.body), (429, &b"Still kept"[..]));
}

fn crashed(world: &mut dyn World) {
    let limited = || Request::get("/limited");
    assert_eq!(world.send(limited()).status, 200);
    let late = Answer::from(Response::new(200)).after(Duration::from_millis(500));
    world.upstream(Upstream::at_first(1, late, Response::new(200)));
    world.received();
    let under_way = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);

    world.crash("/");
    assert_eq!(world.send(Request::get("/")).status, 503);
    assert_eq!(world.finish(under_way).status, 503);
    world.pass(RELOAD_TIME);
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!(world.send(limited()).status, 429, "the count survives");
}
