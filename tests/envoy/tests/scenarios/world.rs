//! A scenario's world, with a real Envoy in it.

use std::mem;
use std::time::Duration;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::message;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_scenarios::{
    DEFAULT_ROUTE, Filter, NO_ROUTE_PREFIX, Request, Response, SHOP_PREFIX, SHOP_ROUTE, Upstream,
    World,
};
use serde_json::{Value, json};

/// An Envoy of two workers. Every request goes over a connection of its own, so that any worker
/// may be the one that serves it.
pub(crate) struct EnvoyWorld {
    envoy: Envoy,
    /// How many requests the scenario knows already.
    asked: usize,
}

impl EnvoyWorld {
    /// Starts an Envoy with those filters.
    pub(crate) fn start(filters: &[Filter]) -> Self {
        let builder = Envoy::builder()
            .tls()
            .connection_manager(json!({"route_config": routes()}));
        Self {
            envoy: filters.iter().fold(builder, add).start(),
            asked: 0,
        }
    }

    /// Checks what no scenario says but all mean.
    pub(crate) fn assert_no_vm_failed(&self) {
        self.envoy.assert_no_vm_failed();
    }
}

impl World for EnvoyWorld {
    fn upstream(&mut self, upstream: Upstream) {
        match upstream {
            Upstream::Answers(response) => {
                let reply = reply(response);
                self.envoy.upstream().set_script(move |_| reply.clone());
                self.envoy.upstream().accept_connections();
            }
            Upstream::Unreachable => {
                self.envoy.upstream().refuse_connections();
                // A connection that Envoy still holds for good would fail in another way.
                let connections = format!("cluster.{UPSTREAM}.upstream_cx_active");
                self.envoy.wait_for_stat(&connections, 0);
            }
        }
    }

    fn send(&mut self, request: Request) -> Response {
        let client = match request.tls {
            true => self.envoy.tls_client(),
            false => self.envoy.client(),
        };
        let response = client.send(&on_the_wire(request));
        assert!(response.complete, "the response broke off: {response:?}");
        Response {
            status: response.status,
            headers: in_lower_case(&response.headers).collect(),
            body: response.body,
        }
    }

    fn received(&mut self) -> Vec<Request> {
        let received = self.envoy.upstream().requests();
        let asked = mem::replace(&mut self.asked, received.len());
        received.into_iter().skip(asked).map(as_received).collect()
    }

    fn counter(&mut self, name: &str) -> u64 {
        // A plugin defines all its counters when it is configured: one that Envoy does not know
        // is misspelt, and not 0.
        self.envoy.counter(&format!("wasmcustom.{name}"))
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The routes that every world has. `NO_ROUTE_PREFIX` is left out on the path as it came, because
/// odd spellings of it, which are not below it, lead to the upstream like all others.
fn routes() -> Value {
    let no_route = json!({
        "name": ":path",
        "string_match": {"prefix": NO_ROUTE_PREFIX},
        "invert_match": true,
    });
    json!({"virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "routes": [
            {
                "name": SHOP_ROUTE,
                "match": {"prefix": SHOP_PREFIX},
                "route": {"cluster": UPSTREAM},
            },
            {
                "name": DEFAULT_ROUTE,
                "match": {"prefix": "/", "headers": [no_route]},
                "route": {"cluster": UPSTREAM},
            },
        ],
    }]})
}

fn add(builder: Builder, filter: &Filter) -> Builder {
    match filter {
        Filter::Plugin { module, config } => {
            builder.wasm(&WasmFilter::plugin(module).configuration(config))
        }
        Filter::Claims => builder.wasm(&WasmFilter::module("claims", artifacts::claims_filter())),
        Filter::DenyAll => builder.native(json!({
            "name": "deny-all",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {"action": "DENY", "policies": {"all": {
                    "permissions": [{"any": true}],
                    "principals": [{"any": true}],
                }}},
            },
        })),
    }
}

fn on_the_wire(request: Request) -> message::Request {
    let message = message::Request {
        body: request.body,
        ..message::Request::new(request.method, request.path)
    };
    let mut message = message.header("host", request.host);
    if let Some(client) = request.client {
        // Unless it is told otherwise, Envoy believes the header.
        message = message.header("x-forwarded-for", client.to_string());
    }
    let headers = request.headers.into_iter();
    headers.fold(message, |message, (name, value)| {
        message.header(name, value)
    })
}

fn as_received(received: message::Request) -> Request {
    let host = received.headers.text("host").unwrap_or_default().to_owned();
    Request {
        host,
        // Envoy speaks to the upstream without TLS.
        tls: false,
        client: None,
        headers: in_lower_case(&received.headers)
            .filter(|(name, _)| name != "host")
            .collect(),
        method: received.method,
        path: received.target,
        body: received.body,
    }
}

fn reply(response: Response) -> Reply {
    let reply = Reply::new(response.status).body(response.body);
    let headers = response.headers.into_iter();
    headers.fold(reply, |reply, (name, value)| reply.header(name, value))
}

fn in_lower_case(headers: &message::Headers) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers.iter().map(|(name, value)| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        (name, value.to_vec())
    })
}
