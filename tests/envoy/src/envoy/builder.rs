//! Sets up and starts an [`Envoy`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::Envoy;
use super::listeners::ListenersFile;
use crate::artifacts;
use crate::bootstrap::{Bootstrap, Environment};
use crate::client::Client;
use crate::filter::HttpFilter;
use crate::log;
use crate::message::Request;
use crate::patience::{PATIENCE, POLL_INTERVAL};
use crate::process::{self, Process};
use crate::tls::Certificate;
use crate::upstream::{RefusingPort, Reply, Upstream};

/// The settings of a test's Envoy. Parts of its configuration are in the JSON form of Envoy's own messages, so that its
/// documentation applies.
pub struct Builder {
    pub(super) bootstrap: Bootstrap,
    upstream: Option<Upstream>,
    concurrency: u32,
    tls: bool,
    replaceable: bool,
    plugin_log_level: String,
    tool: Vec<OsString>,
    wall_clock_shift: i64,
    libraries: PathBuf,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            bootstrap: Bootstrap::default(),
            upstream: None,
            concurrency: 2,
            tls: false,
            replaceable: false,
            plugin_log_level: "info".to_owned(),
            tool: chosen_tool(),
            wall_clock_shift: 0,
            libraries: artifacts::search_path(),
        }
    }

    /// Adds a plugin after the existing filters.
    #[must_use]
    pub fn plugin(mut self, filter: &impl HttpFilter) -> Self {
        self.bootstrap.filters.push(filter.to_json());
        self
    }

    /// Adds one of Envoy's own filters (name and `typed_config`) after the existing ones.
    #[must_use]
    pub fn native(mut self, filter: Value) -> Self {
        self.bootstrap.filters.push(filter);
        self
    }

    /// Sets the upstream's replies. The default is an empty 200.
    #[must_use]
    pub fn upstream(self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            upstream: Some(Upstream::start(script)),
            ..self
        }
    }

    /// Adds a route after those added before, and before the default route to [`UPSTREAM`]. A route to [`REFUSING`]
    /// fails to connect.
    ///
    /// [`UPSTREAM`]: crate::bootstrap::UPSTREAM
    /// [`REFUSING`]: crate::bootstrap::REFUSING
    #[must_use]
    pub fn route(mut self, route: Value) -> Self {
        self.bootstrap.routes.push(route);
        self
    }

    /// Adds a host name. Without this, Envoy serves all names; with it, it answers other names with 404.
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

    /// Sets fields (a JSON object) of the HTTP connection manager, which override the harness's.
    ///
    /// # Panics
    /// If it is not a JSON object.
    #[must_use]
    pub fn connection_manager(mut self, fields: Value) -> Self {
        let Value::Object(fields) = fields else {
            panic!("not an object: {fields}");
        };
        self.bootstrap.connection_manager.extend(fields);
        self
    }

    /// Adds a TLS listener with the filters and routes of the plain one. Envoy configures every plugin again for it.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Allows [`Envoy::replace_listeners`]. Such an Envoy starts even if a plugin refuses its configuration.
    #[must_use]
    pub fn replaceable_listeners(self) -> Self {
        Self {
            replaceable: true,
            ..self
        }
    }

    /// Sets the number of worker threads. The default is 2.
    #[must_use]
    pub fn concurrency(self, workers: u32) -> Self {
        Self {
            concurrency: workers,
            ..self
        }
    }

    /// Sets the minimum level of the plugins' log messages (`trace` … `critical`). The default is `info`.
    #[must_use]
    pub fn plugin_log_level(self, level: &str) -> Self {
        Self {
            plugin_log_level: level.to_owned(),
            ..self
        }
    }

    /// Runs Envoy under a tool such as valgrind, which receives Envoy's command line after its own arguments. The tool
    /// must become Envoy's process. The start may take a hundred times as long.
    #[must_use]
    pub fn under(self, tool: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            tool: tool.into_iter().collect(),
            ..self
        }
    }

    /// Shifts Envoy's wall clock by a number of seconds. Its monotonic clock stays right.
    #[must_use]
    pub fn shift_wall_clock(self, seconds: i64) -> Self {
        Self {
            wall_clock_shift: seconds,
            ..self
        }
    }

    /// Sets the folder in which Envoy looks for dynamic modules. The default is `dist`.
    #[must_use]
    pub fn libraries(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            libraries: folder.into(),
            ..self
        }
    }

    /// Starts Envoy and waits until it serves.
    ///
    /// # Panics
    /// If it fails, with its log.
    pub fn start(self) -> Envoy {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts Envoy and waits until it serves.
    ///
    /// # Errors
    /// If it ends instead, because it or a plugin refused the configuration.
    ///
    /// # Panics
    /// If Envoy is missing, or a temporary directory cannot be created.
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
        let environment = Environment {
            upstream: upstream.address(),
            refusing: refusing.address(),
            certificate: certificate.as_ref(),
            access_log: &access_log,
            listeners: listeners.as_ref().map(ListenersFile::path),
        };
        if let Some(file) = &listeners {
            file.write(&self.bootstrap.discovered_listeners(&environment));
        }
        let json = self.bootstrap.to_json(&environment);
        fs::write(&configuration, json.to_string()).expect("a file in the temporary directory");

        let mut command = process::command_under(&self.tool, &configuration);
        command
            .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", &self.libraries)
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--concurrency", &self.concurrency.to_string()])
            // Old listeners live long enough for requests in flight, but do not delay tests.
            .args(["--drain-time-s", "2"])
            .args(["--log-level", "warning"])
            .args([
                "--component-log-level",
                &format!("wasm:{0},dynamic_modules:{0}", self.plugin_log_level),
            ])
            // Envoy writes the access log immediately instead of in blocks of 64 KB.
            .args(match artifacts::envoy_version() < (1, 38) {
                true => ["--file-flush-interval-msec", "10"],
                false => ["--file-flush-min-size-kb", "0"],
            });
        if self.wall_clock_shift != 0 {
            command
                .env("LD_PRELOAD", artifacts::shifted_clock())
                .env("SHIFTED_CLOCK", self.wall_clock_shift.to_string());
        }
        let mut process = Process::start("Envoy", command, directory.path())
            .unwrap_or_else(|error| panic!("Envoy does not start: {error}"));
        // Other tests start Envoys at the same time, and V8 compiles modules for each.
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

/// The tool under which all Envoys run unless a test chooses another: the words of `PORTCULLIS_UNDER`.
fn chosen_tool() -> Vec<OsString> {
    let words = std::env::var("PORTCULLIS_UNDER").unwrap_or_default();
    words.split_whitespace().map(OsString::from).collect()
}

/// Envoy did not start. Displays its log.
#[derive(Debug)]
pub struct StartError {
    has_ended: bool,
    reason: String,
    log: String,
}

impl StartError {
    /// Whether Envoy has ended, as it does if it or a plugin refuses the configuration. Otherwise it took too long.
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

/// Waits until Envoy reports that it serves. Returns a client for its admin interface.
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
