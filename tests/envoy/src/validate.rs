//! Checks a configuration offline with `envoy --mode validate`, and compares the result with that of
//! `portcullis-validate`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use portcullis_validate::{Severity, check};
use serde_json::Value;
use tempfile::TempDir;

use crate::bootstrap::{self, Bootstrap, Environment};
use crate::envoy::{Builder, Envoy, RefusedListeners};
use crate::filter::{HttpFilter, WasmFilter};
use crate::log::{self, LogRecord};
use crate::process;

/// Validates one plugin's configuration in a minimal bootstrap.
///
/// # Errors
/// The plugin's logged errors, one message per line, or Envoy's if the plugin logged none. Also the output of
/// `portcullis-validate` if it disagrees, and Envoy's warnings about deprecated fields.
pub fn plugin(filter: &impl HttpFilter) -> Result<(), String> {
    let directory = TempDir::new().expect("a temporary directory");
    bootstrap_file(&around(filter, directory.path()))
}

/// Validates configurations that Envoy should accept, like [`plugin`]. One Envoy validates all of them, because V8 needs
/// about a second to compile a module for each process. If it refuses any, each configuration gets its own Envoy, to
/// find the faulty one.
pub fn plugins(filters: &[WasmFilter]) -> Vec<Result<(), String>> {
    let directory = TempDir::new().expect("a temporary directory");
    let all = filters.iter().enumerate().map(listener);
    let all = write_bootstrap(directory.path(), Vec::new(), all.collect());
    match ask_envoy(&all) {
        Ok(()) => filters
            .iter()
            .map(|filter| agreed(filter, Ok(())))
            .collect(),
        Err(_) => filters.iter().map(plugin).collect(),
    }
}

/// Pushes configurations that Envoy should refuse to a running Envoy, each in its own listener, like a control plane. The
/// results are those of [`plugin`]. `accepted` has plugins of the same modules, because V8 drops a module that no VM
/// uses.
pub fn pushed(filters: &[WasmFilter], accepted: &[WasmFilter]) -> Vec<Result<(), String>> {
    let mut modules = BTreeSet::new();
    let keepers = accepted.iter().filter(|it| modules.insert(it.path()));
    let keepers = keepers.map(|filter| filter.clone().vm_id("keeper").to_json());
    let keepers = bootstrap::connection_manager(keepers.collect());
    let keepers = bootstrap::listener("keepers", &keepers);
    let with_keepers = || {
        let builder = Envoy::builder().replaceable_listeners().concurrency(1);
        builder.listener(keepers.clone())
    };
    let envoy = with_keepers().start();
    let listeners = filters.iter().enumerate().map(listener);
    let refused = envoy.replace_listeners(&listeners.fold(with_keepers(), Builder::listener));
    let log = envoy.log();
    let result = |(number, filter)| {
        let vm = vm_id(number);
        let errors: Vec<&str> = log
            .iter()
            .filter(|record| matches!(record.level.as_str(), "error" | "critical"))
            .filter_map(|record| record.message_of_vm(&vm))
            .collect();
        match errors.is_empty() {
            // Either nothing was refused, or not by the plugin.
            true => plugin(filter),
            false => agreed(filter, Err(errors.join("\n"))),
        }
    };
    match refused {
        Ok(()) => filters.iter().map(plugin).collect(),
        Err(RefusedListeners) => filters.iter().enumerate().map(result).collect(),
    }
}

/// A plugin in its own listener and VM.
fn listener((number, filter): (usize, &WasmFilter)) -> Value {
    let filter = filter.clone().vm_id(&vm_id(number)).to_json();
    let manager = bootstrap::connection_manager(vec![filter]);
    bootstrap::listener(&format!("case-{number}"), &manager)
}

fn vm_id(number: usize) -> String {
    format!("vm-{number}")
}

/// A plugin's warnings in this mode. Envoy starts with such a configuration.
///
/// # Panics
/// If Envoy or the plugin refuses it.
pub fn warnings(filter: &impl HttpFilter) -> Vec<String> {
    let directory = TempDir::new().expect("a temporary directory");
    let records = run(&around(filter, directory.path()), "warning");
    let records = records.unwrap_or_else(|log| panic!("it is refused: {log}"));
    let warnings = records.iter().filter(|record| record.level == "warning");
    let messages = warnings.filter_map(LogRecord::plugin_message);
    messages.map(str::to_owned).collect()
}

/// Writes a bootstrap with a plugin into a directory.
fn around(filter: &impl HttpFilter, directory: &Path) -> PathBuf {
    write_bootstrap(directory, vec![filter.to_json()], Vec::new())
}

fn write_bootstrap(directory: &Path, filters: Vec<Value>, listeners: Vec<Value>) -> PathBuf {
    let configuration = directory.join("envoy.json");
    let bootstrap = Bootstrap {
        filters,
        listeners,
        ..Bootstrap::default()
    };
    // Envoy connects to nothing in this mode.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let json = bootstrap.to_json(&Environment {
        upstream: nowhere,
        refusing: nowhere,
        certificate: None,
        access_log: &directory.join("access.log"),
        listeners: None,
    });
    fs::write(&configuration, json.to_string()).expect("a file in the temporary directory");
    configuration
}

/// Validates a whole Envoy configuration in YAML, like a reader who pastes it into a file.
///
/// # Errors
/// As with [`plugin`].
pub fn bootstrap(yaml: &str) -> Result<(), String> {
    let directory = TempDir::new().expect("a temporary directory");
    let configuration = directory.path().join("envoy.yaml");
    fs::write(&configuration, yaml).expect("a file in the temporary directory");
    bootstrap_file(&configuration)
}

/// Validates a whole Envoy configuration (JSON or YAML). Relative paths in it refer to the working directory.
///
/// # Errors
/// As with [`plugin`].
pub fn bootstrap_file(configuration: &Path) -> Result<(), String> {
    agreed_on(configuration, ask_envoy(configuration))
}

/// Envoy's verdict on a plugin, if `portcullis-validate` agrees.
fn agreed(filter: &impl HttpFilter, by_envoy: Result<(), String>) -> Result<(), String> {
    let directory = TempDir::new().expect("a temporary directory");
    agreed_on(&around(filter, directory.path()), by_envoy)
}

fn agreed_on(configuration: &Path, by_envoy: Result<(), String>) -> Result<(), String> {
    let text = fs::read_to_string(configuration).expect("a configuration");
    let report = check(&configuration.display().to_string(), &text, None);
    let by_us: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.message.as_str())
        .collect();
    let agrees = match &by_envoy {
        Ok(()) => by_us.is_empty(),
        // The first line names the plugin.
        Err(said) if said.starts_with("portcullis ") => said.lines().skip(1).eq(by_us.clone()),
        Err(_) => by_us.is_empty(),
    };
    match agrees {
        true => by_envoy,
        false => Err(format!(
            "portcullis-validate disagrees with Envoy:\n{}\nEnvoy: {by_envoy:?}",
            by_us.join("\n")
        )),
    }
}

fn ask_envoy(configuration: &Path) -> Result<(), String> {
    let text = match run(configuration, "warning") {
        Ok(records) => {
            let deprecated = records
                .iter()
                .find(|it| it.message.starts_with("Deprecated field"));
            return deprecated.map_or(Ok(()), |it| Err(it.message.clone()));
        }
        Err(text) => text,
    };
    let records = log::parse(&text);
    let errors: Vec<&str> = records
        .iter()
        .filter(|record| matches!(record.level.as_str(), "error" | "critical"))
        .filter_map(|record| record.plugin_message())
        .collect();
    match errors.is_empty() {
        true => Err(log::tail(&text)),
        false => Err(errors.join("\n")),
    }
}

/// Envoy's log from this level on: `Ok` if it accepts the configuration, an error if it refuses it.
fn run(configuration: &Path, level: &str) -> Result<Vec<LogRecord>, String> {
    let output = process::command(configuration)
        .args(["--mode", "validate", "--log-level", level])
        .output()
        .unwrap_or_else(|error| panic!("Envoy does not start: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok(log::parse(&text)),
        false => Err(text),
    }
}
