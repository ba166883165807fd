//! A running Envoy, and queries for tests.

mod builder;
mod listeners;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use tempfile::TempDir;

use crate::access_log::{self, AccessLogEntry};
use crate::bootstrap::{PLAIN, TLS};
use crate::client::Client;
use crate::log::{self, LogRecord};
use crate::message::Request;
use crate::patience::{PATIENCE, POLL_INTERVAL, wait_for};
use crate::process::Process;
use crate::stats::{self, Stats};
use crate::tls::Certificate;
use crate::upstream::{RefusingPort, Upstream};

use listeners::ListenersFile;

pub use builder::{Builder, StartError};
pub use listeners::RefusedListeners;

/// A running Envoy with its scripted upstream.
///
/// Dropping it ends the process. If the test has failed, the end of Envoy's log is printed first. All methods take
/// `&self`, so that the tests of a file can share an Envoy in a `static`; it then ends with the test process.
pub struct Envoy {
    // Fields are dropped in this order: Envoy ends before its upstreams and its files.
    process: Process,
    admin: Client,
    addresses: BTreeMap<String, SocketAddr>,
    listeners_file: Option<ListenersFile>,
    certificate: Option<Certificate>,
    upstream: Upstream,
    refusing: RefusingPort,
    access_log: PathBuf,
    _directory: TempDir,
}

impl Envoy {
    /// An Envoy without filters that passes every request to an upstream.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A client that speaks HTTP/1.1 to the plain listener.
    pub fn client(&self) -> Client {
        Client::http1(self.address(PLAIN))
    }

    /// A client that speaks HTTP/2 to the plain listener.
    pub fn http2_client(&self) -> Client {
        Client::http2(self.address(PLAIN))
    }

    /// A client that speaks HTTP/1.1 to the TLS listener; see [`Builder::tls`].
    pub fn tls_client(&self) -> Client {
        let certificate = self.certificate.as_ref();
        let certificate = certificate.expect("this Envoy was started with `tls()`");
        Client::http1_tls(self.address(TLS), certificate.trusting_client())
    }

    /// The certificate of the TLS listener, as PEM; see [`Builder::tls`].
    ///
    /// # Panics
    /// If there is none.
    pub fn certificate(&self) -> String {
        let certificate = self.certificate.as_ref();
        let certificate = certificate.expect("this Envoy was started with `tls()`");
        let (chain, _) = certificate.pem();
        chain
    }

    /// The address of a listener.
    ///
    /// # Panics
    /// If no listener has this name.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let known = &self.addresses;
        *known
            .get(listener)
            .unwrap_or_else(|| panic!("no listener {listener} among {known:?}"))
    }

    /// The upstream to which Envoy forwards.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The response of Envoy's admin interface to a GET.
    ///
    /// # Panics
    /// If its status is not 200.
    pub fn admin(&self, target: &str) -> String {
        let response = self.admin.send(&Request::get(target));
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        response.text()
    }

    /// All counters and gauges.
    pub fn stats(&self) -> Stats {
        Stats::parse(&self.admin("/stats?format=json"))
    }

    /// The counters and gauges whose names match a regular expression. Much cheaper than all of them.
    pub fn stats_like(&self, pattern: &str) -> Stats {
        let pattern = percent_encoded(pattern);
        Stats::parse(&self.admin(&format!("/stats?format=json&filter={pattern}")))
    }

    /// The value of a counter or gauge.
    ///
    /// # Panics
    /// If Envoy has none with this name, so that a misspelt name does not count as 0.
    pub fn counter(&self, name: &str) -> u64 {
        let stats = self.stats();
        stats.get(name).unwrap_or_else(|| {
            let group = name.split('.').next().unwrap_or_default();
            let known = stats
                .with_prefix(group)
                .map(|(name, value)| format!("{name}: {value}\n"));
            panic!("no counter {name} among\n{}", known.collect::<String>())
        })
    }

    /// Waits until a counter or gauge has this value.
    ///
    /// # Panics
    /// After a timeout.
    pub fn wait_for_stat(&self, name: &str, value: u64) {
        self.wait_for_stat_to_be(name, &value.to_string(), |found| found == value);
    }

    /// Waits until `is_wanted` accepts the value of a counter or gauge; `wanted` describes it.
    ///
    /// # Panics
    /// After a timeout.
    pub fn wait_for_stat_to_be(&self, name: &str, wanted: &str, is_wanted: impl Fn(u64) -> bool) {
        wait_for(|| match self.stats_like(&stats::pattern(name)).get(name) {
            Some(found) if is_wanted(found) => Ok(()),
            found => Err(format!("{name} to be {wanted}: it is {found:?}")),
        });
    }

    /// The statistics in Prometheus's format.
    pub fn prometheus(&self) -> String {
        self.admin("/stats/prometheus")
    }

    /// The log of Envoy and the plugins so far.
    pub fn log(&self) -> Vec<LogRecord> {
        log::parse(&self.process.log())
    }

    /// Waits until Envoy has logged the end of `count` requests, and returns all of them.
    ///
    /// # Panics
    /// After a timeout.
    pub fn wait_for_access_log(&self, count: usize) -> Vec<AccessLogEntry> {
        wait_for(|| {
            let log = fs::read_to_string(&self.access_log).unwrap_or_default();
            let entries = access_log::parse(&log);
            match entries.len() >= count {
                true => Ok(entries),
                false => Err(format!(
                    "{count} lines of access log: there is {entries:#?}"
                )),
            }
        })
    }

    /// Checks that no plugin has panicked, trapped, or logged a critical message, and that no VM was replaced.
    ///
    /// # Panics
    /// Otherwise, with the reason.
    pub fn assert_no_vm_failed(&self) {
        self.assert_no_vm_failed_since(0);
    }

    /// The same, for the log from its record `first` on.
    ///
    /// # Panics
    /// Otherwise, with the reason.
    pub fn assert_no_vm_failed_since(&self, first: usize) {
        // Envoy logs a trap as an error of its wasm runtime. The library logs a panic as critical. Errors that plugins log
        // do not count.
        let is_runtime = |logger: &str| matches!(logger, "wasm" | "dynamic_modules");
        let failed = |record: &LogRecord| match record.level.as_str() {
            "critical" => true,
            "error" => is_runtime(&record.logger) && record.plugin_message().is_none(),
            _ => false,
        };
        let log = self.log().into_iter().skip(first);
        let log: Vec<LogRecord> = log.filter(failed).collect();
        assert!(log.is_empty(), "a VM failed: {log:#?}");

        let stats = self.stats();
        let reloads = stats.with_prefix("wasm.");
        let reloads: Vec<_> = reloads
            .filter(|(name, value)| name.contains(".vm_reload") && *value > 0)
            .collect();
        assert!(reloads.is_empty(), "a VM was replaced: {reloads:?}");
    }

    /// Asks Envoy to end (SIGTERM), and waits until it has. Returns its exit status and its log.
    ///
    /// # Panics
    /// If it does not end.
    pub fn terminate(mut self) -> (ExitStatus, Vec<LogRecord>) {
        let mut kill = Command::new("kill");
        let sent = kill.arg(self.process_id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill");
        let started = Instant::now();
        loop {
            match self.process.exit_status() {
                Ok(Some(status)) => return (status, self.log()),
                _ => assert!(started.elapsed() < PATIENCE, "Envoy does not end"),
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The process id, to measure its memory or CPU time.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// For a query: encodes every byte, so that none needs special care.
fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
