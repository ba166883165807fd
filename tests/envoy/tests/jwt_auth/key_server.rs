//! A server with keys and a revocation list, and Envoys that fetch them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::plugin;

pub(super) const KEYS: &str = "/keys";
pub(super) const REVOKED: &str = "/revoked";

/// More than the cores, so that a worker may be preempted between reading and writing.
pub(super) const WORKERS: u32 = 4;

/// A server with scripted documents. It answers other paths with 404.
pub(super) struct KeyServer {
    server: Upstream,
    documents: Arc<Mutex<BTreeMap<String, Reply>>>,
}

impl KeyServer {
    pub(super) fn start() -> Self {
        let documents: Arc<Mutex<BTreeMap<String, Reply>>> = Arc::default();
        let served = Arc::clone(&documents);
        let server = Upstream::start(move |request| {
            let document = served.lock().unwrap().get(&request.target).cloned();
            document.unwrap_or_else(|| Reply::new(404))
        });
        Self { server, documents }
    }

    /// A server with these keys.
    pub(super) fn with_keys(jwks: &Value) -> Self {
        let server = Self::start();
        server.publish(KEYS, jwks);
        server
    }

    pub(super) fn publish(&self, path: &str, document: &Value) {
        self.answer(path, Reply::new(200).body(document.to_string()));
    }

    /// Answers with any reply.
    pub(super) fn answer(&self, path: &str, reply: Reply) {
        let mut documents = self.documents.lock().unwrap();
        documents.insert(path.to_owned(), reply);
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    pub(super) fn go_down(&self) {
        self.server.refuse_connections();
    }

    pub(super) fn come_up(&self) {
        self.server.accept_connections();
    }

    /// Number of requests for a document.
    pub(super) fn fetches(&self, path: &str) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|request| request.target == path)
            .count()
    }

    /// An Envoy with jwt-auth, and with this server as its cluster `idp`.
    pub(super) fn envoy(&self, configuration: &Value) -> Envoy {
        self.builder(configuration).start()
    }

    fn builder(&self, configuration: &Value) -> Builder {
        Envoy::builder()
            .concurrency(WORKERS)
            .plugin(&plugin(configuration))
            .cluster(bootstrap::cluster("idp", self.server.address()))
    }
}

/// A provider `corp` whose keys are fetched, with these settings of the fetch, and one rule that requires
/// it. Tokens are not cached, so each one shows whether the keys are available.
pub(super) fn configuration(settings: &Value) -> Value {
    let mut remote = json!({"cluster": "idp", "uri": format!("http://idp.example{KEYS}")});
    let settings = settings.as_object().expect("an object").clone();
    remote.as_object_mut().expect("an object").extend(settings);
    json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": super::ISSUER, "audiences": ["shop"], "jwks": {"remote": remote},
        }},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
        "cache": {"tokens": 0},
    })
}
