//! Key servers that Envoy cannot reach: the log, the responses, and recovery after the fault.

use std::fs;
use std::path::Path;

use portcullis_envoy_tests::bootstrap::{self, PLAIN, TLS};
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_envoy_tests::upstream::{Ending, Reply};
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::{Map, Value, json};

use super::key_server::{KEYS, KeyServer};
use super::tcp_proxy::{Target, TcpProxy};
use super::{count, now, plugin};

/// A fault in the cluster of the provider with this name.
struct Fault<'t> {
    name: &'static str,
    cluster: Value,
    /// The result with which its fetches are counted.
    result: &'static str,
    /// The log's text after the URI.
    said: String,
    /// The statistic that Envoy counts, if the log does not show the cause.
    statistic: Option<&'static str>,
    mend: Box<dyn Fn() + 't>,
}

impl<'t> Fault<'t> {
    fn new(name: &'static str, cluster: Value, said: &str, mend: impl Fn() + 't) -> Self {
        Self {
            name,
            cluster,
            result: "status",
            said: said.to_owned(),
            statistic: None,
            mend: Box::new(mend),
        }
    }

    /// Envoy reports only that there was no connection.
    fn not_connected(
        name: &'static str,
        cluster: Value,
        statistic: &'static str,
        mend: impl Fn() + 't,
    ) -> Self {
        let said = format!(
            "status 503: \"{RESET} remote connection failure\": nothing listens there, or TLS failed; \
             Envoy's statistics show which (cluster.{name}.ssl, cluster.{name}.upstream_cx_connect_fail)"
        );
        Self {
            statistic: Some(statistic),
            ..Self::new(name, cluster, &said, mend)
        }
    }

    fn reset(name: &'static str, cluster: Value, reason: &str, mend: impl Fn() + 't) -> Self {
        Self::new(
            name,
            cluster,
            &format!("status 503: \"{RESET} {reason}\""),
            mend,
        )
    }

    fn counted_as(self, result: &'static str) -> Self {
        Self { result, ..self }
    }

    fn path(&self) -> String {
        format!("/{}", self.name)
    }
}

const RESET: &str = "upstream connect error or disconnect/reset before headers. reset reason:";

fn issuer(name: &str) -> Issuer {
    Issuer::new(&format!("https://{name}.example"), Algorithm::ES256)
}

/// The keys are the same everywhere.
fn keys() -> Value {
    issuer("any").jwks()
}

fn status(envoy: &Envoy, name: &str) -> u16 {
    let token = issuer(name).token(now()).sign();
    let request = Request::get(format!("/{name}"));
    let request = request.header("authorization", format!("Bearer {token}"));
    envoy.client().send(&request).status
}

/// An Envoy with a provider and a rule for each fault. Each has a cluster with its name, except `unknown`.
fn builder(faults: &[Fault<'_>], unknown: &str) -> Builder {
    let provider = |fault: &Fault<'_>| {
        let cluster = match fault.name {
            "unknown" => unknown,
            name => name,
        };
        let jwks = json!({"remote": {
            "cluster": cluster, "uri": format!("http://idp.example{KEYS}"), "timeout": "1s",
        }});
        let issuer = format!("https://{}.example", fault.name);
        (
            fault.name.to_owned(),
            json!({"issuer": issuer, "jwks": jwks}),
        )
    };
    let rule = |fault: &Fault<'_>| {
        json!({
            "name": fault.name,
            "match": {"path": {"exact": fault.path()}},
            "require": {"provider": fault.name},
        })
    };
    let configuration = json!({
        "name": "edge",
        "providers": faults.iter().map(provider).collect::<Map<_, _>>(),
        "rules": faults.iter().map(rule).collect::<Vec<_>>(),
    });
    let builder = Envoy::builder().plugin(&plugin(&configuration));
    let clusters = faults.iter().map(|fault| fault.cluster.clone());
    let builder = clusters.fold(builder, |it, cluster| it.cluster(cluster));
    // It also gives Envoy a node id, which endpoint discovery needs.
    builder.replaceable_listeners()
}

/// A key server behind TLS, with a certificate of its own.
fn tls_server() -> Envoy {
    let answer = |_: &_| Reply::new(200).body(keys().to_string());
    Envoy::builder().tls().upstream(answer).start()
}

/// A cluster that speaks TLS and trusts this certificate.
fn tls_cluster(name: &str, proxy: &TcpProxy, server: &Envoy) -> Value {
    let mut cluster = bootstrap::cluster(name, proxy.address());
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {"validation_context": {
                "trusted_ca": {"inline_string": server.certificate()},
            }},
        },
    });
    cluster
}

/// A cluster whose endpoints are in this file, and the file's content.
fn discovered(name: &str, server: &KeyServer, file: &Path) -> (Value, Value) {
    let mut cluster = bootstrap::cluster(name, server.address());
    let endpoints = cluster["load_assignment"]["endpoints"].take();
    let members = cluster.as_object_mut().expect("an object");
    members.remove("load_assignment");
    cluster["type"] = "EDS".into();
    cluster["eds_cluster_config"] = json!({"eds_config": {
        "path_config_source": {"path": file},
        "resource_api_version": "V3",
    }});
    (cluster, endpoints)
}

fn write_endpoints(name: &str, endpoints: &Value, file: &Path) {
    let next = file.with_extension("next");
    let assignment = json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": endpoints,
    }]});
    fs::write(&next, assignment.to_string()).expect("a file");
    fs::rename(&next, file).expect("moving it");
}

#[test]
fn each_fault_is_named_and_can_be_mended() {
    let (tls, stranger) = (tls_server(), tls_server());
    let server = KeyServer::with_keys(&keys());
    let down = KeyServer::with_keys(&keys());
    down.go_down();
    let resets = KeyServer::start();
    resets.answer(KEYS, Reply::none(Ending::Reset));
    let breaks_off = KeyServer::start();
    let half = Reply::new(200).body("{\"keys\":").ending(Ending::Close);
    breaks_off.answer(KEYS, half);
    let proxy = |to| TcpProxy::new(to);
    let distrusted = proxy(Target::Server(stranger.address(TLS)));
    let wants_tls = proxy(Target::Server(tls.address(TLS)));
    let wants_none = proxy(Target::Server(tls.address(PLAIN)));
    let closes = proxy(Target::Close);
    let hangs = proxy(Target::Hang);
    let silent = TcpProxy::closed();
    let cluster = bootstrap::cluster;
    let mut slow = cluster("silent", silent.address());
    slow["connect_timeout"] = "0.2s".into();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("eds.json");
    write_endpoints("empty", &json!([]), &file);
    let (empty, endpoints) = discovered("empty", &server, &file);
    let good = Target::Server(server.address());
    let tls_port = Target::Server(tls.address(TLS));
    let terminated = "connection termination";
    let faults = [
        Fault::not_connected(
            "distrusted",
            tls_cluster("distrusted", &distrusted, &tls),
            "ssl.fail_verify_error",
            || distrusted.set(tls_port),
        ),
        Fault::not_connected(
            "wants_none",
            tls_cluster("wants_none", &wants_none, &tls),
            "ssl.connection_error",
            || wants_none.set(tls_port),
        ),
        Fault::not_connected(
            "down",
            cluster("down", down.address()),
            "upstream_cx_connect_fail",
            || down.come_up(),
        ),
        Fault::reset(
            "wants_tls",
            cluster("wants_tls", wants_tls.address()),
            terminated,
            || wants_tls.set(good),
        ),
        Fault::reset("closes", cluster("closes", closes.address()), terminated, || closes.set(good)),
        Fault::reset("resets", cluster("resets", resets.address()), terminated, || {
            resets.publish(KEYS, &keys());
        }),
        Fault::reset("silent", slow, "connection timeout", || silent.set(good)),
        Fault::new(
            "hangs",
            cluster("hangs", hangs.address()),
            "status 504: \"upstream request timeout\"",
            || hangs.set(good),
        ),
        Fault::new(
            "breaks_off",
            cluster("breaks_off", breaks_off.address()),
            "the connection was reset, or the response broke off",
            || breaks_off.publish(KEYS, &keys()),
        )
        .counted_as("broken_off"),
        Fault::new(
            "empty",
            empty,
            "Envoy could not send a request to the cluster \"empty\": it has no healthy endpoint, or \
             capability_restriction_config does not allow the call (proxy_http_call: InternalFailure)",
            || write_endpoints("empty", &endpoints, &file),
        )
        .counted_as("not_sent"),
        // The last one: the next configuration names the right cluster.
        Fault::new(
            "unknown",
            cluster("known", server.address()),
            "Envoy has no cluster \"unknown\" (proxy_http_call: BadArgument)",
            || {},
        )
        .counted_as("not_sent"),
    ];
    let envoy = builder(&faults, "unknown").start();
    for fault in &faults {
        assert_named(&envoy, fault);
    }

    for fault in &faults {
        (fault.mend)();
    }
    let has_keys = |name| wait_until(name, || status(&envoy, name) == 200);
    let (unknown, others) = faults.split_last().expect("faults");
    others.iter().for_each(|fault| has_keys(fault.name));
    assert_eq!(envoy.replace_listeners(&builder(&faults, "known")), Ok(()));
    has_keys(unknown.name);
    envoy.assert_no_vm_failed();
}

fn assert_named(envoy: &Envoy, fault: &Fault<'_>) {
    let name = fault.name;
    assert_eq!(status(envoy, name), 503, "{name}");
    let labels = format!("provider=.={name};.;result=.={};.;", fault.result);
    wait_until(name, || count(envoy, &labels, "jwks_fetches") > 0);
    let log = envoy.log();
    let lines: Vec<&str> = log
        .iter()
        .filter_map(|record| record.plugin_message())
        .filter(|line| line.contains(&format!("keys of {name} ")))
        .collect();
    let line = format!(
        "portcullis jwt_auth: keys of {name} not fetched from http://idp.example/keys: {}",
        fault.said
    );
    assert!(lines.contains(&line.as_str()), "{line}: {lines:#?}");
    if let Some(statistic) = fault.statistic {
        assert!(envoy.counter(&format!("cluster.{name}.{statistic}")) > 0);
    }
}
