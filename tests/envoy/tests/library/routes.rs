//! Configurations of routes (`typed_per_filter_config`).

use std::fs;
use std::path::Path;

use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::is_wasm;
use super::keys::{self, KeyServer};

/// A route to the upstream on which a filter has another configuration, for a plugin.
fn route(prefix: &str, filter: &str, plugin: &str, configuration: &Value) -> Value {
    let config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
        "dynamic_module_config": {"name": "portcullis"},
        "filter_name": plugin,
        "filter_config": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration.to_string(),
        },
    });
    json!({
        "match": {"prefix": prefix},
        "route": {"cluster": UPSTREAM},
        "typed_per_filter_config": {filter: config},
    })
}

fn limit(name: &str, burst: u32) -> Value {
    json!({"name": name, "limits": [
        {"name": name, "rate": {"requests": 10, "per": "1h"}, "burst": burst},
    ]})
}

fn rate_limit() -> Builder {
    let own = limit("own", 1000).to_string();
    Envoy::builder().plugin(&PluginFilter::new("rate-limit").configuration(&own))
}

fn statuses(envoy: &Envoy, path: &str, count: usize) -> Vec<u16> {
    let send = |_| envoy.client().send(&Request::get(path)).status;
    (0..count).map(send).collect()
}

/// Requests of several workers count together: connections land on any of them.
#[test]
fn a_route_has_its_own_limit() {
    if is_wasm() {
        return;
    }
    let envoy = rate_limit()
        .concurrency(4)
        .route(route(
            "/tight",
            "rate-limit",
            "rate_limit",
            &limit("tight", 3),
        ))
        .start();

    let mut tight = statuses(&envoy, "/tight", 20);
    tight.sort_unstable();

    assert_eq!(tight.iter().filter(|status| **status == 200).count(), 3);
    assert_eq!(tight.last(), Some(&429));
    assert_eq!(statuses(&envoy, "/", 20), [200; 20]);
    let metrics = envoy.prometheus();
    for line in [
        "portcullis_rate_limit_admitted{policy=\"own\",limit=\"own\"} 20",
        "portcullis_rate_limit_admitted{policy=\"tight\",limit=\"tight\"} 3",
        "portcullis_rate_limit_denied{policy=\"tight\",limit=\"tight\",reason=\"rate_limited\"} 17",
    ] {
        assert!(has(&metrics, line), "{line} is not in\n{}", ours(&metrics));
    }
    envoy.assert_no_vm_failed();
}

/// Whether Prometheus's format has this line, with its labels in any order.
fn has(metrics: &str, line: &str) -> bool {
    let labels = |line: &str| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once('}')?;
        let mut labels: Vec<&str> = labels.split(',').collect();
        labels.sort_unstable();
        Some((name.to_owned(), labels.join(","), value.to_owned()))
    };
    let wanted = labels(line);
    metrics.lines().any(|line| labels(line) == wanted)
}

fn ours(metrics: &str) -> String {
    let lines = metrics.lines().filter(|line| line.contains("portcullis"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The filter itself lets everything pass, so it fetches nothing, and has no metrics of fetches.
#[test]
fn the_keys_of_a_route_are_fetched_and_its_requests_wait() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let open = json!({"name": "open", "rules": [{"name": "open", "require": "none"}]});
    let envoy = Envoy::builder()
        .plugin(&PluginFilter::new("jwt-auth").configuration(&open.to_string()))
        .cluster(bootstrap::cluster("idp", server.server.address()))
        .route(route(
            "/closed",
            "jwt-auth",
            "jwt_auth",
            &keys::remote("closed"),
        ))
        .start();
    assert_eq!(statuses(&envoy, "/", 3), [200; 3]);

    let waiting: Vec<Pending> = (0..10)
        .map(|_| envoy.client().start(server.request("/closed")))
        .collect();
    wait_until("the fetch", || server.server.requests().len() == 1);
    server.publish();

    wait_until("answers", || waiting.iter().all(Pending::is_finished));
    for client in waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(statuses(&envoy, "/closed", 1), [401]);
    assert_eq!(server.server.requests().len(), 1);
    let metrics = envoy.prometheus();
    for line in [
        "portcullis_jwt_auth_jwks_fetches{policy=\"closed\",provider=\"corp\",result=\"good\"} 1",
        "portcullis_jwt_auth_jwks_keys{policy=\"closed\",provider=\"corp\"} 1",
        "portcullis_jwt_auth_waiting{policy=\"closed\"} 0",
    ] {
        assert!(has(&metrics, line), "{line} is not in\n{}", ours(&metrics));
    }
    envoy.assert_no_vm_failed();
}

/// The filter and the route have the same key server. A key that only the route's requests ask for is fetched for it.
#[test]
fn a_route_and_its_filter_fetch_new_keys_each_for_itself() {
    if is_wasm() {
        return;
    }
    let mut server = KeyServer::new();
    server.publish();
    let own = keys::remote("own").to_string();
    let envoy = Envoy::builder()
        .plugin(&PluginFilter::new("jwt-auth").configuration(&own))
        .cluster(bootstrap::cluster("idp", server.server.address()))
        .route(route(
            "/route",
            "jwt-auth",
            "jwt_auth",
            &keys::remote("route"),
        ))
        .start();
    let status = |server: &KeyServer, path| envoy.client().send(&server.request(path)).status;
    assert_eq!(status(&server, "/"), 200);
    assert_eq!(status(&server, "/route"), 200);
    // The interval between two fetches.
    std::thread::sleep(std::time::Duration::from_millis(1_200));

    server.rotate();

    assert_eq!(status(&server, "/route"), 200);
    assert_eq!(status(&server, "/"), 200);
}

#[test]
fn a_configuration_for_another_plugin_does_not_apply_and_is_reported_once() {
    if is_wasm() {
        return;
    }
    let headers = json!({"name": "edge", "preset": "helmet"});
    let envoy = rate_limit()
        .concurrency(1)
        .route(route("/", "rate-limit", "security_headers", &headers))
        .start();

    assert_eq!(statuses(&envoy, "/", 20), [200; 20]);

    let reported = envoy.log().into_iter().filter(|record| {
        record.level == "error"
            && record
                .message
                .contains("a route has a configuration for security_headers")
    });
    assert_eq!(reported.count(), 1);
    assert_eq!(
        envoy.counter("portcullis.rate_limit.policy=.=own;.;limit=.=own;.;admitted"),
        20
    );
}

#[test]
fn a_refused_configuration_of_a_route_is_refused_with_its_errors() {
    if is_wasm() {
        return;
    }
    for (plugin, configuration, message) in [
        (
            "rate_limit",
            json!({"limits": 7}),
            "portcullis rate_limit: configuration of a route refused:",
        ),
        (
            "ratelimit",
            limit("x", 1),
            "portcullis: filter_name: found \"ratelimit\"",
        ),
    ] {
        let started = rate_limit()
            .route(route("/", "rate-limit", plugin, &configuration))
            .try_start();

        let error = started.err().expect("a refused configuration");
        assert!(error.has_ended(), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// A file of routes that Envoy watches.
struct Routes(TempDir);

impl Routes {
    fn write(&self, routes: &[Value]) {
        let resource = json!({"resources": [{
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "routes",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        }]});
        let next = self.0.path().join("next");
        fs::write(&next, resource.to_string()).unwrap();
        fs::rename(&next, self.path().join("rds.json")).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("watched")
    }

    fn manager(path: &Path) -> Value {
        json!({"route_config": null, "rds": {
            "route_config_name": "routes",
            "config_source": {
                "path_config_source": {
                    "path": path.join("rds.json"),
                    "watched_directory": {"path": path},
                },
                "resource_api_version": "V3",
            },
        }})
    }
}

#[test]
fn a_push_of_routes_replaces_configurations_and_keeps_counts() {
    if is_wasm() {
        return;
    }
    let routes = Routes(TempDir::new().unwrap());
    fs::create_dir(routes.path()).unwrap();
    let tight = |burst| route("/", "rate-limit", "rate_limit", &limit("tight", burst));
    routes.write(&[tight(3)]);
    let envoy = rate_limit()
        .concurrency(1)
        .connection_manager(Routes::manager(&routes.path()))
        .start();
    wait_until("the routes", || statuses(&envoy, "/", 1) != [404]);
    wait_until("the limit", || statuses(&envoy, "/", 1) == [429]);

    // Eight more bursts come and go; the counts of the limit remain.
    for burst in 4..12 {
        let updates = "http.ingress.rds.routes.update_success";
        let before = envoy.counter(updates);
        routes.write(&[tight(burst)]);
        envoy.wait_for_stat_to_be(updates, "more", |now| now > before);
        wait_until("the push", || statuses(&envoy, "/", 1) == [200]);
        assert_eq!(statuses(&envoy, "/", 3), [429; 3], "burst {burst}");
    }
    envoy.assert_no_vm_failed();
}
