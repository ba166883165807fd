//! Sets up and starts an [`Envoy`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::Envoy;
use super::listeners::ListenersFile;
use crate::bootstrap::{Bootstrap, Surroundings};
use crate::client::Client;
use crate::filter::WasmFilter;
use crate::log;
use crate::message::Request;
use crate::process::{self, Process};
use crate::runtime::{PATIENCE, POLL_INTERVAL};
use crate::tls::Certificate;
use crate::upstream::{RefusingPort, Reply, Upstream};

/// What the Envoy of a test is to be. Pieces of configuration are in the JSON form of Envoy's
/// own messages, so that its documentation applies.
pub struct Builder {
    pub(super) bootstrap: Bootstrap,
    upstream: Option<Upstream>,
    concurrency: u32,
    tls: bool,
    replaceable: bool,
    wasm_log_level: String,
    tool: Vec<OsString>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            bootstrap: Bootstrap::default(),
            upstream: None,
            concurrency: 2,
            tls: false,
            replaceable: false,
            wasm_log_level: "info".to_owned(),
            tool: Vec::new(),
        }
    }

    /// Adds a plugin after the filters already there.
    #[must_use]
    pub fn wasm(mut self, filter: &WasmFilter) -> Self {
        self.bootstrap.filters.push(filter.to_json());
        self
    }

    /// Adds one of Envoy's own filters (name and `typed_config`) after those already there.
    #[must_use]
    pub fn native(mut self, filter: Value) -> Self {
        self.bootstrap.filters.push(filter);
        self
    }

    /// Sets what the upstream answers; an empty 200 without this.
    #[must_use]
    pub fn upstream(self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            upstream: Some(Upstream::start(script)),
            ..self
        }
    }

    /// Adds a route that is tried after those added before, and before the one that takes
    /// everything to [`UPSTREAM`]. A route to [`REFUSING`] fails to connect.
    ///
    /// [`UPSTREAM`]: crate::bootstrap::UPSTREAM
    /// [`REFUSING`]: crate::bootstrap::REFUSING
    #[must_use]
    pub fn route(mut self, route: Value) -> Self {
        self.bootstrap.routes.push(route);
        self
    }

    /// Adds a host name that is served. Without this all are; with it Envoy finds no route for
    /// the others and answers 404.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.bootstrap.domains.push(domain.to_owned());
        self
    }

    /// Adds a cluster; [`bootstrap::cluster`](crate::bootstrap::cluster) makes one.
    #[must_use]
    pub fn cluster(mut self, cluster: Value) -> Self {
        self.bootstrap.clusters.push(cluster);
        self
    }

    /// Adds a listener; [`bootstrap::listener`](crate::bootstrap::listener) makes one.
    #[must_use]
    pub fn listener(mut self, listener: Value) -> Self {
        self.bootstrap.listeners.push(listener);
        self
    }

    /// Sets fields (a JSON object) of the HTTP connection manager, in place of the harness's
    /// where it has them.
    ///
    /// # Panics
    /// If it is no JSON object.
    #[must_use]
    pub fn connection_manager(mut self, fields: Value) -> Self {
        let Value::Object(fields) = fields else {
            panic!("not an object: {fields}");
        };
        self.bootstrap.connection_manager.extend(fields);
        self
    }

    /// Adds a TLS listener with the filters and routes of the plain one. Envoy configures every
    /// plugin once more for it.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Lets [`Envoy::replace_listeners`] replace the listeners while Envoy runs. A plugin that
    /// refuses its configuration does not keep such an Envoy from starting.
    #[must_use]
    pub fn replaceable_listeners(self) -> Self {
        Self {
            replaceable: true,
            ..self
        }
    }

    /// Sets the number of worker threads; 2 without this.
    #[must_use]
    pub fn concurrency(self, workers: u32) -> Self {
        Self {
            concurrency: workers,
            ..self
        }
    }

    /// Sets from which level on the plugins' log messages are kept (`trace` … `critical`);
    /// `info` without this.
    #[must_use]
    pub fn wasm_log_level(self, level: &str) -> Self {
        Self {
            wasm_log_level: level.to_owned(),
            ..self
        }
    }

    /// Has a tool run Envoy, which gets Envoy's command line after its own arguments; valgrind, say.
    /// It has to become Envoy's process, and may take a hundred times as long to get ready.
    #[must_use]
    pub fn under(self, tool: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            tool: tool.into_iter().collect(),
            ..self
        }
    }

    /// Starts Envoy and waits until it serves.
    ///
    /// # Panics
    /// If it does not, with its log.
    pub fn start(self) -> Envoy {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts Envoy and waits until it serves.
    ///
    /// # Errors
    /// If it ends instead, because it or a plugin refused the configuration.
    ///
    /// # Panics
    /// If something around it fails: no Envoy, no temporary directory.
    pub fn try_start(self) -> Result<Envoy, StartError> {
        let directory = TempDir::new().expect("a temporary directory");
        let access_log = directory.path().join("access.log");
        let admin_address = directory.path().join("admin");
        let configuration = directory.path().join("envoy.json");

        let refusing = RefusingPort::new();
        let upstream = self
            .upstream
            .unwrap_or_else(|| Upstream::start(|_| Reply::new(200)));
        let certificate = self.tls.then(Certificate::generate);
        let listeners = self
            .replaceable
            .then(|| ListenersFile::new(directory.path()));
        let around = Surroundings {
            upstream: upstream.address(),
            refusing: refusing.address(),
            certificate: certificate.as_ref(),
            access_log: &access_log,
            listeners: listeners.as_ref().map(ListenersFile::path),
        };
        if let Some(file) = &listeners {
            file.write(&self.bootstrap.discovered_listeners(&around));
        }
        let json = self.bootstrap.to_json(&around);
        fs::write(&configuration, json.to_string()).expect("a file in the temporary directory");

        let mut command = process::command_under(&self.tool, &configuration);
        command
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--concurrency", &self.concurrency.to_string()])
            // Old listeners live long enough for what is under way, and no test has to wait for them.
            .args(["--drain-time-s", "2"])
            .args(["--log-level", "warning"])
            .args([
                "--component-log-level",
                &format!("wasm:{}", self.wasm_log_level),
            ])
            // The access log is written at once, and not when 64 KB have come together.
            .args(["--file-flush-min-size-kb", "0"]);
        let mut process = Process::start(command, directory.path())
            .unwrap_or_else(|error| panic!("Envoy does not start: {error}"));
        // Other tests start Envoys at the same time, for each of which V8 compiles modules.
        let patience = PATIENCE * if self.tool.is_empty() { 3 } else { 100 };
        let admin = wait_until_ready(&mut process, &admin_address, patience)?;
        Ok(Envoy {
            addresses: listener_addresses(&admin),
            process,
            admin,
            certificate,
            upstream,
            refusing,
            listeners_file: listeners,
            access_log,
            _directory: directory,
        })
    }
}

/// Envoy did not come up. Displays its log.
#[derive(Debug)]
pub struct StartError {
    has_ended: bool,
    reason: String,
    log: String,
}

impl StartError {
    /// Whether Envoy has ended, as it does when it or a plugin refuses the configuration, rather than to
    /// take too long.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; its log ends\n{}", self.reason, log::tail(&self.log))
    }
}

impl std::error::Error for StartError {}

/// Waits until Envoy says that it serves. Returns a client for its admin interface.
fn wait_until_ready(
    process: &mut Process,
    admin_address: &Path,
    patience: Duration,
) -> Result<Client, StartError> {
    let started = Instant::now();
    loop {
        if let Some(admin) = ready_admin(admin_address) {
            return Ok(admin);
        }
        let status = process.exit_status();
        let has_ended = matches!(status, Ok(Some(_)));
        let reason = match status {
            Ok(Some(status)) => format!("Envoy ended with {status}"),
            Err(error) => format!("Envoy cannot be watched: {error}"),
            Ok(None) if started.elapsed() > patience => {
                format!("Envoy is not ready after {patience:?}")
            }
            Ok(None) => {
                std::thread::sleep(POLL_INTERVAL);
                continue;
            }
        };
        return Err(StartError {
            has_ended,
            reason,
            log: process.log(),
        });
    }
}

/// The admin interface, once Envoy has written its address to that file and serves.
fn ready_admin(admin_address: &Path) -> Option<Client> {
    let address = fs::read_to_string(admin_address).ok()?;
    let admin = Client::http1(address.trim().parse().ok()?);
    let ready = admin.try_send(&Request::get("/ready"));
    (ready.ok()?.status == 200).then_some(admin)
}

/// The ports that Envoy chose, by the listeners' names.
fn listener_addresses(admin: &Client) -> BTreeMap<String, SocketAddr> {
    let response = admin.send(&Request::get("/listeners?format=json"));
    let listeners: Value = serde_json::from_slice(&response.body).expect("listeners as JSON");
    let listeners = listeners["listener_statuses"].as_array();
    let address = |listener: &Value| {
        let socket = &listener["local_address"]["socket_address"];
        let ip = socket["address"].as_str()?.parse().ok()?;
        let port = socket["port_value"].as_u64()?.try_into().ok()?;
        let name = listener["name"].as_str()?.to_owned();
        Some((name, SocketAddr::new(ip, port)))
    };
    let listeners = listeners.expect("a list of listeners");
    listeners.iter().filter_map(address).collect()
}
