//! Envoy's configuration: a small, fixed frame around the test's settings.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::tls::Certificate;

/// The cluster of the scripted upstream, the target of all requests without another route.
pub const UPSTREAM: &str = "upstream";
/// A cluster whose only endpoint refuses connections.
pub const REFUSING: &str = "refusing";
/// A limit that no test reaches.
const NO_LIMIT: u32 = 100_000;
/// The listener without TLS.
pub const PLAIN: &str = "plain";
/// The listener with TLS.
pub const TLS: &str = "tls";

/// The settings of a test; see the methods of [`crate::envoy::Builder`].
#[derive(Default)]
pub(crate) struct Bootstrap {
    pub(crate) filters: Vec<Value>,
    pub(crate) domains: Vec<String>,
    pub(crate) routes: Vec<Value>,
    pub(crate) clusters: Vec<Value>,
    pub(crate) listeners: Vec<Value>,
    pub(crate) connection_manager: Map<String, Value>,
}

/// The harness's parts around Envoy.
pub(crate) struct Environment<'a> {
    /// The endpoint of [`UPSTREAM`].
    pub(crate) upstream: SocketAddr,
    /// The endpoint of [`REFUSING`].
    pub(crate) refusing: SocketAddr,
    /// The certificate of the TLS listener; without it, there is no such listener.
    pub(crate) certificate: Option<&'a Certificate>,
    /// The access log.
    pub(crate) access_log: &'a Path,
    /// The file from which Envoy reads listeners, and which it watches, so that they can be replaced.
    pub(crate) listeners: Option<&'a Path>,
}

impl Bootstrap {
    /// The whole configuration. Envoy chooses all ports that it listens on.
    pub(crate) fn to_json(&self, environment: &Environment<'_>) -> Value {
        let mut clusters = vec![
            cluster(UPSTREAM, environment.upstream),
            cluster(REFUSING, environment.refusing),
        ];
        clusters.extend_from_slice(&self.clusters);
        let mut bootstrap = json!({
            "admin": {"address": any_port()},
            "node": {"id": "envoy", "cluster": "tests"},
            "static_resources": {"clusters": clusters},
        });
        match environment.listeners {
            None => bootstrap["static_resources"]["listeners"] = self.listeners(environment).into(),
            Some(file) => {
                bootstrap["dynamic_resources"]["lds_config"] = json!({
                    "path_config_source": {
                        "path": file,
                        "watched_directory": {"path": file.parent()},
                    },
                    "resource_api_version": "V3",
                });
            }
        }
        bootstrap
    }

    /// The content for [`Environment::listeners`].
    pub(crate) fn discovered_listeners(&self, environment: &Environment<'_>) -> Vec<Value> {
        let mut listeners = self.listeners(environment);
        for listener in &mut listeners {
            listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
        }
        listeners
    }

    fn listeners(&self, environment: &Environment<'_>) -> Vec<Value> {
        let manager = self.connection_manager(environment.access_log);
        let mut listeners = vec![listener(PLAIN, &manager)];
        if let Some(certificate) = environment.certificate {
            let mut tls = listener(TLS, &manager);
            tls["filter_chains"][0]["transport_socket"] = transport_socket(certificate);
            listeners.push(tls);
        }
        listeners.extend_from_slice(&self.listeners);
        listeners
    }

    fn connection_manager(&self, access_log: &Path) -> Value {
        let mut routes = self.routes.clone();
        routes.push(json!({"match": {"prefix": "/"}, "route": {"cluster": UPSTREAM}}));
        let domains = match self.domains.as_slice() {
            [] => vec!["*".to_owned()],
            domains => domains.to_vec(),
        };
        let mut manager = connection_manager(self.filters.clone());
        manager["stat_prefix"] = "ingress".into();
        // Time for which a connection stays half open after Envoy ends it over HTTP/1. The default of 1 s would delay
        // each test of an incomplete response.
        manager["delayed_close_timeout"] = "0.02s".into();
        manager["route_config"] = json!({"virtual_hosts": [{
            "name": "all",
            "domains": domains,
            "routes": routes,
            "include_attempt_count_in_response": true,
        }]});
        manager["access_log"] = json!([{
            "name": "file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": access_log,
                "log_format": {"json_format": crate::access_log::format()},
            },
        }]);
        for (field, value) in &self.connection_manager {
            manager[field] = value.clone();
        }
        manager
    }
}

/// An HTTP connection manager with these filters, then the router, and no routes.
pub fn connection_manager(mut filters: Vec<Value>) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "other",
        "http_filters": filters,
        "route_config": {},
    })
}

/// A listener on a loopback port of Envoy's choice, with one HTTP connection manager (in JSON
/// form, with its `@type`). For [`crate::envoy::Builder::listener`].
pub fn listener(name: &str, connection_manager: &Value) -> Value {
    json!({
        "name": name,
        "address": any_port(),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager,
        }]}],
    })
}

/// A cluster with one endpoint, spoken to in the protocol (HTTP/1.1 or HTTP/2) that the client
/// speaks. For [`crate::envoy::Builder::cluster`].
pub fn cluster(name: &str, endpoint: SocketAddr) -> Value {
    let address = socket_address(&endpoint.ip().to_string(), endpoint.port());
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        // The defaults, three concurrent retries and a thousand requests, would affect tests.
        "circuit_breakers": {"thresholds": [{
            "max_connections": NO_LIMIT,
            "max_pending_requests": NO_LIMIT,
            "max_requests": NO_LIMIT,
            "max_retries": NO_LIMIT,
        }]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "use_downstream_protocol_config": {
                    "http_protocol_options": {"enable_trailers": true},
                    "http2_protocol_options": {},
                },
            },
        },
    })
}

/// The same for a service that speaks gRPC, and so HTTP/2 in any case.
pub fn grpc_cluster(name: &str, endpoint: SocketAddr) -> Value {
    let mut cluster = cluster(name, endpoint);
    let options = &mut cluster["typed_extension_protocol_options"];
    options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"] = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    cluster
}

fn transport_socket(certificate: &Certificate) -> Value {
    let (chain, key) = certificate.pem();
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [{
                "certificate_chain": {"inline_string": chain},
                "private_key": {"inline_string": key},
            }]},
        },
    })
}

fn any_port() -> Value {
    socket_address("127.0.0.1", 0)
}

fn socket_address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}
