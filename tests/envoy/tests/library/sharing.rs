//! State that outlives a listener, or that several share.

use portcullis_envoy_tests::bootstrap::{self, PLAIN, UPSTREAM};
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::{HttpFilter, LibraryFilter};
use portcullis_envoy_tests::message::Request;
use serde_json::{Value, json};

use super::is_wasm;

const SECOND: &str = "second";

fn filter(name: &str, burst: u32) -> LibraryFilter {
    let configuration = json!({"name": name, "limits": [
        {"name": "all", "rate": {"requests": 10, "per": "1h"}, "burst": burst},
    ]});
    LibraryFilter::plugin("rate-limit").configuration(&configuration.to_string())
}

/// A second listener with this filter.
fn second(filter: &LibraryFilter) -> Value {
    let mut manager = bootstrap::connection_manager(vec![filter.to_json()]);
    manager["route_config"] = json!({"virtual_hosts": [{
        "name": "all", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": UPSTREAM}}],
    }]});
    bootstrap::listener(SECOND, &manager)
}

fn with(filter: &LibraryFilter) -> Builder {
    Envoy::builder().concurrency(4).plugin(filter)
}

fn admitted(envoy: &Envoy, listener: &str, count: usize) -> usize {
    let client = Client::http1(envoy.address(listener));
    let statuses = (0..count).map(|_| client.send(&Request::get("/")).status);
    statuses.filter(|status| *status == 200).count()
}

#[test]
fn listeners_with_one_instance_name_share_counts_and_others_do_not() {
    if is_wasm() {
        return;
    }
    for (name, of_second) in [("edge", 0), ("other", 10)] {
        let envoy = with(&filter("edge", 10))
            .listener(second(&filter(name, 10)))
            .start();
        assert_eq!(admitted(&envoy, PLAIN, 15), 10);
        assert_eq!(admitted(&envoy, SECOND, 15), of_second, "{name}");
    }
}

/// The library stays loaded, and keeps the counts, even while no listener uses it.
#[test]
fn counts_outlive_the_last_listener() {
    if is_wasm() {
        return;
    }
    let limited = || with(&filter("edge", 10)).replaceable_listeners();
    let envoy = limited().start();
    assert_eq!(admitted(&envoy, PLAIN, 6), 6);

    for _ in 0..3 {
        let bare = Envoy::builder().concurrency(4).replaceable_listeners();
        assert_eq!(envoy.replace_listeners(&bare), Ok(()));
        // The drain time: the last filter is gone afterwards.
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        assert_eq!(admitted(&envoy, PLAIN, 3), 3);
        assert_eq!(envoy.replace_listeners(&limited()), Ok(()));
    }

    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(admitted(&envoy, PLAIN, 15), 4);
    envoy.assert_no_vm_failed();
}

/// A hundred pushes, with traffic: configurations come and go in the main thread while workers use them.
#[test]
fn pushes_under_traffic_lose_no_request() {
    if is_wasm() {
        return;
    }
    let numbered = |number: u32| with(&filter("edge", 10_000 + number)).replaceable_listeners();
    let envoy = numbered(0).start();
    let address = envoy.address(PLAIN);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let traffic = || {
            let mut sent = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let response = Client::http1(address).try_send(&Request::get("/"));
                assert_eq!(response.map(|it| it.status).ok(), Some(200));
                sent += 1;
            }
            sent
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(traffic)).collect();
        for number in 1..40 {
            assert_eq!(envoy.replace_listeners(&numbered(number)), Ok(()));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            assert!(client.join().is_ok_and(|sent| sent > 0));
        }
    });
    envoy.assert_no_vm_failed();
}
