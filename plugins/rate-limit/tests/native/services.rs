//! Services that do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_core::protobuf::Message;
use proxy_wasm_native_host::{GrpcReply, GrpcRequest, Host, Request};
use serde_json::{Value, json};

use super::{admitted, config, counter, filter, with_key};

/// The most calls to a service that a worker has open.
const MAX_CALLS: usize = 4_000;
/// The most requests that wait for a service in a worker.
const MAX_WAITING: usize = 1_000;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Limits of both services, in the mode `each`.
fn two_services(of_hanging: &str) -> Value {
    let limit = |name: &str, mode: &str, on_outage: &str| {
        json!({
            "name": name, "mode": mode, "key": [{"header": "x-api-key"}],
            "rate": {"requests": 1_000_000, "per": "1h"},
            "fleet": {"service": name, "descriptor": [name], "mode": "each", "on_outage": on_outage},
        })
    };
    let mut config = config(json!([
        limit("hangs", of_hanging, "allow"),
        limit("answers", "enforce", "deny"),
    ]));
    for service in ["hangs", "answers"] {
        config["services"][service] = json!({"cluster": service, "domain": "d", "timeout": "10s"});
    }
    config
}

struct Services {
    /// The calls to the service that hangs.
    calls: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
    host: Host,
}

impl Services {
    fn start(config: &Value) -> Self {
        let (calls, hangs) = (Arc::default(), Arc::new(AtomicBool::new(true)));
        let ok = || {
            let mut answer = Message::default();
            answer.number(1, 1);
            GrpcReply::ok(answer.into_bytes())
        };
        let hanging = {
            let (calls, hangs) = (Arc::clone(&calls), Arc::clone(&hangs));
            move |_: &GrpcRequest| {
                AtomicUsize::fetch_add(&calls, 1, Ordering::Relaxed);
                match hangs.load(Ordering::Relaxed) {
                    true => ok().after(TIMEOUT * 2),
                    false => ok(),
                }
            }
        };
        let host = super::builder(config)
            .grpc_service("hangs", hanging)
            .grpc_service("answers", move |_: &GrpcRequest| ok())
            .start()
            .unwrap();
        Self { calls, hangs, host }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn outages(&self, limit: &str, result: &str) -> u64 {
        let metric = format!("result=.={result};.;fleet_outage");
        counter(&self.host, limit, &metric)
    }
}

/// A limit in shadow mode lets no request wait, so its calls pile up.
#[test]
fn a_service_that_hangs_does_not_stop_another_one() {
    let services = Services::start(&two_services("shadow"));
    let more = 100;
    let requests = MAX_CALLS + more;
    assert_eq!(admitted(&services.host, &with_key("a"), requests), requests);
    assert_eq!(services.calls(), MAX_CALLS);
    assert_eq!(services.outages("answers", "deny"), 0);

    // All of them end, and the service can be called again.
    services.hangs.store(false, Ordering::Relaxed);
    services.host.advance(TIMEOUT * 3);
    assert_eq!(admitted(&services.host, &with_key("a"), 1), 1);
    assert_eq!(services.calls(), MAX_CALLS + 1);
    assert_eq!(services.outages("answers", "deny"), 0);
}

#[test]
fn requests_that_wait_for_a_service_do_not_stop_another_one() {
    let mut config = two_services("enforce");
    config["limits"][0]["match"] = json!({"path": {"prefix": "/hangs/"}});
    let services = Services::start(&config);
    let host = &services.host;
    let hanging = Request::get("/hangs/").header("x-api-key", "a");
    let waiting = || host.open(hanging.clone());
    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| waiting()).collect();
    assert!(waiting.iter_mut().all(|request| !request.is_over()));
    // One more does not wait.
    assert_eq!(admitted(host, &hanging, 1), 1);
    assert_eq!(services.outages("hangs", "allow"), 1);
    assert_eq!(services.calls(), MAX_WAITING);

    assert_eq!(admitted(host, &with_key("a"), 10), 10);
    assert_eq!(services.outages("answers", "deny"), 0);

    // All of them leave their places.
    host.advance(TIMEOUT * 3);
    assert!(waiting.iter_mut().all(|request| request.is_over()));
    services.hangs.store(false, Ordering::Relaxed);
    assert_eq!(admitted(host, &hanging, 1), 1);
    assert_eq!(services.outages("hangs", "allow"), 1 + MAX_WAITING as u64);
}

/// A call ends once, whatever has become of its request and of the listener.
#[test]
fn calls_end_without_their_requests_and_listeners() {
    let services = Services::start(&two_services("enforce"));
    let host = &services.host;
    let calls = |requests: usize| {
        let before = services.calls();
        for _ in 0..requests {
            host.open(with_key("a")).disconnect();
        }
        services.calls() - before
    };
    assert_eq!(calls(MAX_CALLS + 100), MAX_CALLS);
    services.hangs.store(false, Ordering::Relaxed);
    host.advance(TIMEOUT * 3);
    // A probe, and then as many as before.
    assert_eq!(admitted(host, &with_key("a"), 1), 1);
    services.hangs.store(true, Ordering::Relaxed);
    assert_eq!(calls(MAX_CALLS + 100), MAX_CALLS);
    // Another configuration has calls of its own.
    let mut other = two_services("enforce");
    other["limits"][0]["missing"] = json!("deny");
    host.update(vec![filter(&other)]).unwrap();
    assert_eq!(calls(10), 10);
    services.hangs.store(false, Ordering::Relaxed);
    host.advance(TIMEOUT * 3);
    assert_eq!(admitted(host, &with_key("a"), 10), 10);
    assert_eq!(services.outages("answers", "deny"), 0);
}
