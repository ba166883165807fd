//! From the module that cargo builds to the one in `dist`: the callbacks that its plugin does not
//! use are left out.
//!
//! Envoy looks up by name which callbacks a module exports, and enters the module for each of them,
//! on every stream. The SDK exports all there are and does nothing in most; an entry costs about
//! 0.3 µs all the same. What a module does not export, Envoy answers by itself, and in the same way:
//! "go on", "done" (`context.cc` in proxy-wasm-cpp-host).
//!
//! Each module says in its `Cargo.toml` which callbacks it needs beside those that all do
//! ([`ALWAYS`](callbacks::ALWAYS)):
//!
//! ```toml
//! [package.metadata.envoy]
//! callbacks = ["request_headers", "response_headers"]
//! ```
//!
//! A plugin whose callback is not there is never called, and no compiler notices. The scenarios on a
//! real Envoy do: they run the modules of `dist`.

mod callbacks;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [package, output] = arguments.as_slice() else {
        eprintln!("usage: trim PACKAGE OUTPUT (after cargo build --release of that package)");
        return ExitCode::FAILURE;
    };
    match trim(package, output.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("trim: {package}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn trim(package: &str, output: &Path) -> Result<(), Failure> {
    let (module, callbacks) = describe(package)?;
    let module = fs::read(&module).map_err(|error| format!("{}: {error}", module.display()))?;
    let callbacks: Vec<&str> = callbacks.iter().map(String::as_str).collect();
    let trimmed = callbacks::keep(&module, &callbacks)?;
    // A file that did not change keeps its time, for what depends on it.
    if fs::read(output).ok().as_ref() != Some(&trimmed) {
        fs::write(output, trimmed).map_err(|error| format!("{}: {error}", output.display()))?;
    }
    Ok(())
}

/// The module of a package, as cargo has built it, and the callbacks that it says it needs.
fn describe(package: &str) -> Result<(PathBuf, Vec<String>), Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let workspace: Value = serde_json::from_slice(&output.stdout)?;
    let target = workspace.get("target_directory").and_then(Value::as_str);
    let packages = workspace.get("packages").and_then(Value::as_array);
    let found = packages
        .into_iter()
        .flatten()
        .find(|found| found.get("name").and_then(Value::as_str) == Some(package))
        .ok_or("no such package")?;
    let callbacks = found
        .pointer("/metadata/envoy/callbacks")
        .and_then(|callbacks| serde_json::from_value(callbacks.clone()).ok())
        .ok_or("its Cargo.toml has no list \"callbacks\" under [package.metadata.envoy]")?;
    let module = Path::new(target.ok_or("cargo names no target directory")?)
        .join("wasm32-wasip1/release")
        .join(format!("{package}.wasm"));
    Ok((module, callbacks))
}
