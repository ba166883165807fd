//! A server with keys, and configurations of jwt-auth that fetch them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::{Value, json};

use super::now;

const ISSUER: &str = "https://idp.example";

/// A server whose keys a test publishes.
pub(super) struct KeyServer {
    pub(super) server: Upstream,
    issuer: Issuer,
    keys: Arc<Mutex<String>>,
    is_open: Arc<Mutex<bool>>,
}

impl KeyServer {
    /// It holds every answer until [`publish`](Self::publish).
    pub(super) fn new() -> Self {
        let issuer = Issuer::new(ISSUER, Algorithm::ES256);
        let keys = Arc::new(Mutex::new(issuer.jwks().to_string()));
        let served = Arc::clone(&keys);
        let is_open: Arc<Mutex<bool>> = Arc::default();
        let opened = Arc::clone(&is_open);
        let server = Upstream::start(move |_| {
            while !*opened.lock().unwrap() {
                std::thread::sleep(Duration::from_millis(10));
            }
            Reply::new(200).body(served.lock().unwrap().clone())
        });
        Self {
            server,
            issuer,
            keys,
            is_open,
        }
    }

    pub(super) fn publish(&self) {
        *self.is_open.lock().unwrap() = true;
    }

    /// Replaces the key.
    pub(super) fn rotate(&mut self) {
        self.issuer.rotate();
        *self.keys.lock().unwrap() = self.issuer.jwks().to_string();
    }

    /// A request with a new token of this issuer.
    pub(super) fn request(&self, path: &str) -> Request {
        let token = self.issuer.token(now()).sign();
        let bearer = format!("Bearer {token}");
        Request::get(path).header("authorization", bearer)
    }
}

/// A configuration that fetches keys of the cluster `idp`, by name of the instance.
pub(super) fn remote(name: &str) -> Value {
    json!({
        "name": name,
        "providers": {"corp": {
            "issuer": ISSUER, "audiences": ["shop"],
            "jwks": {"remote": {"cluster": "idp", "uri": "http://idp.example/keys", "timeout": "20s", "min_refetch_interval": "1s"}},
        }},
        "rules": [
            {"name": "public", "match": {"path": {"prefix": "/public"}}, "require": "none"},
            {"name": "all", "require": {"provider": "corp"}},
        ],
        "cache": {"tokens": 0},
    })
}
