//! What a test sees of a host while things are under way: calls, timers, queues, held requests.

use std::time::Duration;

use proxy_wasm_native_host::{Answer, Host, Request, Response, Thread};

use crate::common::{count, said, scripted};

fn host(script: &str) -> Host {
    let filter = scripted("a", script);
    let host = Host::builder().filter(filter).workers(2);
    host.cluster("idp", |_: &Request| Answer::never())
        .start()
        .unwrap()
}

#[test]
fn a_call_is_seen_and_answered_by_hand() {
    let host = host(
        "request_headers call idp /key 1000\nrequest_headers pause\ncall body 4\ncall resume 0",
    );
    let stream = host.worker(1).open(Request::get("/"));
    assert!(host.worker(0).pending_calls().is_empty());
    let call = host.pending_calls().pop().unwrap();
    assert_eq!(call.thread(), Thread::Worker(1));
    assert_eq!(call.request().path(), "/key");
    assert!(!call.is_grpc());
    call.answer(Response::new(200).body("secret"));
    assert_eq!(stream.outcome().status(), 200);
    assert!(said(&host).contains(&"a   body 4 -> \"secret\"".to_owned()));
    assert!(host.pending_calls().is_empty());
    // The call's timeout has nothing to say any more.
    host.advance(Duration::from_secs(2));
    assert_eq!(
        said(&host)
            .iter()
            .filter(|line| line.starts_with("a call "))
            .count(),
        1
    );
}

#[test]
fn an_answer_by_hand_takes_the_place_of_the_timeout() {
    let host = host("request_headers call idp /key 1000\nrequest_headers pause\ncall resume 0");
    let mut stream = host.open(Request::get("/"));
    let call = host.pending_calls().pop().unwrap();
    call.answer(Answer::from(Response::new(200)).after(Duration::from_secs(3)));
    host.advance(Duration::from_secs(2));
    assert!(!stream.is_over());
    host.advance(Duration::from_secs(1));
    assert!(stream.is_over());
}

#[test]
#[should_panic(expected = "the call is over")]
fn a_call_is_answered_once() {
    let host = host("request_headers call idp /key 1000");
    host.send(Request::get("/"));
    let call = host.pending_calls().pop().unwrap();
    host.advance(Duration::from_secs(1));
    call.answer(Response::new(200));
}

#[test]
fn timers_are_seen() {
    let host = host("configure tick 250\nrequest_headers enter root\nrequest_headers tick 0");
    let period = Duration::from_millis(250);
    let threads = [Thread::Main, Thread::Worker(0), Thread::Worker(1)];
    assert_eq!(
        host.tick_periods("a"),
        threads.map(|thread| (thread, period))
    );
    host.send(Request::get("/"));
    assert_eq!(host.worker(0).tick_period("a"), None);
    assert_eq!(host.worker(1).tick_period("a"), Some(period));
}

#[test]
fn a_queue_tells_the_worker_that_registered_it_last() {
    let host = Host::builder()
        .filter(scripted(
            "jobs",
            "configure queue todo\nqueue_ready dequeue",
        ))
        .filter(scripted(
            "a",
            "request_headers resolve jobs todo\nrequest_headers enqueue job",
        ))
        .workers(3)
        .start()
        .unwrap();
    assert_eq!(host.queue_size("jobs", "todo"), Some(0));
    assert_eq!(host.queue_size("jobs", "other"), None);
    host.send(Request::get("/"));
    let told: Vec<_> = host
        .logs()
        .into_iter()
        .filter(|line| line.message == "jobs queue_ready")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].thread,
        Thread::Worker(2),
        "another worker than the request's"
    );
    assert_eq!(host.queue_size("jobs", "todo"), Some(0), "it was taken");
}

#[test]
fn nothing_is_lost_when_workers_race_for_a_queue() {
    let host = Host::builder()
        .filter(scripted(
            "a",
            "configure queue todo\nqueue_ready dequeue\nrequest_headers enqueue job",
        ))
        .workers(4)
        .start()
        .unwrap();
    host.race(|worker| {
        for _ in 0..50 {
            worker.send(Request::get("/"));
        }
    });
    assert_eq!(count(&host, "a queue_ready"), 200);
    assert_eq!(host.queue_size("a", "todo"), Some(0));
}

#[test]
fn a_held_request_is_seen_with_its_body() {
    let host = host("request_headers set request x-seen 1\nrequest_body pause");
    let stream = host.open_unfinished(Request::post("/").chunk("one"));
    stream.send_body("two");
    let held = stream.held().unwrap();
    assert_eq!((&*held.filter, held.is_response), ("a", false));
    assert_eq!(held.headers.get("x-seen"), Some("1"));
    assert_eq!(held.body, b"onetwo");
    let host = self::host("response_headers pause");
    let stream = host.open(Request::get("/"));
    let held = stream.held().unwrap();
    assert!(held.is_response);
    assert_eq!(held.headers.get(":status"), Some("200"));
    assert_eq!(held.body, b"hello");
}

#[test]
fn a_foreign_function_of_the_filter_is_called() {
    let host = host("root_foreign body 8");
    host.worker(0).call_foreign_function("a", 7, b"data");
    let said = said(&host);
    assert!(
        said.contains(&"a root_foreign 7 with 4 bytes".to_owned()),
        "{said:?}"
    );
    assert!(
        said.contains(&"a   body 8 -> \"data\"".to_owned()),
        "{said:?}"
    );
}

#[test]
#[should_panic(
    expected = "called what the native host does not emulate in proxy_on_request_headers on \
                           worker 0: the foreign function \"compress\""
)]
fn a_function_that_envoy_has_and_the_host_has_not_fails_the_test() {
    let host = host("request_headers foreign compress text");
    assert_eq!(host.send(Request::get("/")).status(), 200);
    host.send(Request::get("/"));
}

#[test]
fn a_host_may_be_without_a_function() {
    let host = Host::builder()
        .filter(scripted("a", "request_headers foreign compress text"))
        .without_foreign_function("compress")
        .start()
        .unwrap();
    host.send(Request::get("/"));
    assert!(said(&host).contains(&"a   foreign compress text -> status 1".to_owned()));
}
