//! `envoy --mode validate`: what Envoy and the plugins say to a configuration, offline.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;

use crate::bootstrap::{Bootstrap, Surroundings};
use crate::filter::WasmFilter;
use crate::log;
use crate::process;

/// Validates one plugin's configuration in a bootstrap around it.
///
/// # Errors
/// What the plugin logged as errors, one message per line; what Envoy logged if the plugin said
/// nothing.
pub fn plugin(filter: &WasmFilter) -> Result<(), String> {
    let directory = TempDir::new().expect("a temporary directory");
    let configuration = directory.path().join("envoy.json");
    let bootstrap = Bootstrap {
        filters: vec![filter.to_json()],
        ..Bootstrap::default()
    };
    // Nobody is called in this mode.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let json = bootstrap.to_json(&Surroundings {
        upstream: nowhere,
        refusing: nowhere,
        certificate: None,
        access_log: &directory.path().join("access.log"),
        listeners: None,
    });
    fs::write(&configuration, json.to_string()).expect("a file in the temporary directory");
    bootstrap_file(&configuration)
}

/// Validates a whole Envoy configuration in YAML, as a reader would who pastes it into a file.
///
/// # Errors
/// As with [`plugin`].
pub fn bootstrap(yaml: &str) -> Result<(), String> {
    let directory = TempDir::new().expect("a temporary directory");
    let configuration = directory.path().join("envoy.yaml");
    fs::write(&configuration, yaml).expect("a file in the temporary directory");
    bootstrap_file(&configuration)
}

/// Validates a whole Envoy configuration (JSON or YAML). Relative paths in it are looked up
/// from the working directory.
///
/// # Errors
/// As with [`plugin`].
pub fn bootstrap_file(configuration: &Path) -> Result<(), String> {
    let output = process::command(configuration)
        .args(["--mode", "validate", "--log-level", "error"])
        .output()
        .unwrap_or_else(|error| panic!("Envoy does not start: {error}"));
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
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
