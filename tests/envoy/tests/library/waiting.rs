//! Requests that wait for keys, and clients that leave meanwhile.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;

use super::is_wasm;
use super::keys::{self, KeyServer};

const WAITING: &str = "portcullis.jwt_auth.policy=.=edge;.;waiting";

fn builder(server: &KeyServer, workers: u32) -> Builder {
    let configuration = keys::remote("edge").to_string();
    Envoy::builder()
        .concurrency(workers)
        .plugin(&PluginFilter::new("jwt-auth").configuration(&configuration))
        .cluster(bootstrap::cluster("idp", server.server.address()))
}

fn wait_for(envoy: &Envoy, waiting: u64) {
    envoy.wait_for_stat_to_be(WAITING, &waiting.to_string(), |found| found == waiting);
}

/// A worker ticks through one of the waiting streams. Whichever that is, the others must not wait for the next request.
#[test]
fn those_who_stay_are_served_when_others_leave() {
    if is_wasm() {
        return;
    }
    for leaver in 0..3 {
        let server = KeyServer::new();
        let envoy = builder(&server, 1).start();
        let mut clients: Vec<Pending> = Vec::new();
        for number in 1..=3 {
            clients.push(envoy.client().start(server.request("/")));
            wait_for(&envoy, number);
        }

        clients.remove(leaver).disconnect();
        wait_for(&envoy, 2);
        server.publish();

        wait_until("answers", || clients.iter().all(Pending::is_finished));
        for client in clients {
            assert_eq!(client.response().status, 200);
        }
    }
}

/// The same over HTTP/2, where streams of one connection end one by one.
#[test]
fn streams_that_stay_are_served_when_others_are_reset() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let envoy = builder(&server, 4).start();
    let clients: Vec<Pending> = (0..40)
        .map(|_| envoy.http2_client().start(server.request("/")))
        .collect();
    wait_for(&envoy, 40);

    let (leaving, staying): (Vec<_>, Vec<_>) = clients
        .into_iter()
        .enumerate()
        .partition(|(number, _)| number % 3 != 0);
    for (_, client) in leaving {
        client.disconnect();
    }
    wait_for(&envoy, staying.len() as u64);
    server.publish();

    wait_until("answers", || staying.iter().all(|(_, it)| it.is_finished()));
    for (_, client) in staying {
        assert_eq!(client.response().status, 200);
    }
    envoy.assert_no_vm_failed();
}

/// Requests with bodies and trailers wait, and reach the upstream whole.
#[test]
fn a_request_that_waited_reaches_the_upstream_whole() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let envoy = builder(&server, 2).start();
    let mut request = server.request("/").trailer("x-sum", "42");
    request.method = "POST".to_owned();
    request.body = vec![b'a'; 300_000];
    let client = envoy.http2_client().start(request.clone());
    wait_for(&envoy, 1);
    server.publish();

    assert_eq!(client.response().status, 200);
    let received = envoy.upstream().wait_for_requests(1).remove(0);
    assert_eq!(received.body.len(), request.body.len());
    assert_eq!(received.trailers.text("x-sum"), Some("42"));
}

/// Clients come and leave in four workers while keys come, too.
#[test]
fn a_crowd_that_comes_and_leaves_does_no_harm() {
    if is_wasm() {
        return;
    }
    for round in 0..5 {
        let server = KeyServer::new();
        let envoy = builder(&server, 4).start();
        let mut clients = Vec::new();
        for number in 0..120 {
            let client = match number % 2 {
                0 => envoy.client(),
                _ => envoy.http2_client(),
            };
            clients.push(client.start(server.request("/")));
            if number == 60 {
                wait_for(&envoy, 61);
            }
            if number > 60 && number % 3 == round % 3 {
                clients.swap_remove(number % clients.len()).disconnect();
            }
            if number == 80 + 7 * round {
                server.publish();
            }
        }
        wait_until("answers", || clients.iter().all(Pending::is_finished));
        for client in clients {
            assert_eq!(client.response().status, 200);
        }
        wait_for(&envoy, 0);
        assert_eq!(envoy.client().send(&Request::get("/public")).status, 200);
        envoy.assert_no_vm_failed();
    }
}

#[test]
fn envoy_ends_in_order_while_requests_wait() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let envoy = builder(&server, 4).start();
    let clients: Vec<Pending> = (0..40)
        .map(|_| envoy.client().start(server.request("/")))
        .collect();
    wait_for(&envoy, 40);

    let (status, log) = envoy.terminate();

    assert!(status.success(), "{status}: {log:#?}");
    drop(clients);
}

/// An Envoy that has replaced its listener while 20 requests wait, and those requests.
fn pushed_while_20_wait(server: &KeyServer, workers: u32) -> (Envoy, Vec<Pending>) {
    let first = || builder(server, workers).replaceable_listeners();
    let envoy = first().start();
    let clients = (0..20).map(|_| envoy.client().start(server.request("/")));
    let clients = clients.collect();
    wait_for(&envoy, 20);
    let next = first().connection_manager(serde_json::json!({"server_name": "next"}));
    assert_eq!(envoy.replace_listeners(&next), Ok(()));
    (envoy, clients)
}

/// A push drains the old listener: its requests go on waiting there, and end with it.
#[test]
fn a_push_while_requests_wait_ends_none_early() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let (envoy, clients) = pushed_while_20_wait(&server, 2);
    server.publish();

    wait_until("answers", || clients.iter().all(Pending::is_finished));
    for client in clients {
        assert_eq!(client.response().status, 200);
    }
    // The old listener is gone after its drain time, and the new one works.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(envoy.client().send(&server.request("/")).status, 200);
    wait_for(&envoy, 0);
    envoy.assert_no_vm_failed();
}

/// The same, but the old listener goes before the keys come.
#[test]
fn a_listener_that_ends_with_waiting_requests_does_no_harm() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let (envoy, clients) = pushed_while_20_wait(&server, 4);
    wait_until("the end of the old listener", || {
        clients.iter().all(Pending::is_finished)
    });
    server.publish();

    assert_eq!(envoy.client().send(&server.request("/")).status, 200);
    wait_for(&envoy, 0);
    envoy.assert_no_vm_failed();
}
