//! Turns the module that cargo builds into the one in `dist`: removes the callbacks that its plugin does not use.
//!
//! Envoy looks up the callbacks that a module exports, and calls each of them on every stream. The SDK exports all
//! callbacks and does nothing in most of them, but every call costs about 0.3 µs. If a module does not export a
//! callback, Envoy itself returns the same result: "continue" or "done" (`context.cc` in proxy-wasm-cpp-host).
//!
//! The `Cargo.toml` of each module lists the callbacks that it needs in addition to those of all modules
//! ([`ALWAYS`](callbacks::ALWAYS)):
//!
//! ```toml
//! [package.metadata.envoy]
//! callbacks = ["request_headers", "response_headers"]
//! ```
//!
//! If a callback is missing from the list, Envoy never calls it, and no compiler notices. The scenarios on a real
//! Envoy do notice, because they run the modules in `dist`.

mod callbacks;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((folder, packages)) = arguments.split_first() else {
        eprintln!("usage: trim FOLDER PACKAGE... (after cargo build --release of these packages)");
        return ExitCode::FAILURE;
    };
    let trimmed = Workspace::read().and_then(|workspace| {
        packages
            .iter()
            .try_for_each(|package| workspace.trim(package, folder.as_ref()))
    });
    match trimmed {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("trim: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The metadata of this workspace, from cargo.
struct Workspace(Value);

impl Workspace {
    fn read() -> Result<Self, Failure> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
            .output()?;
        match output.status.success() {
            true => Ok(Self(serde_json::from_slice(&output.stdout)?)),
            false => Err(String::from_utf8_lossy(&output.stderr).into()),
        }
    }

    /// Writes the module of a package such as `rate-limit-module` to `rate_limit.wasm` in a folder.
    fn trim(&self, package: &str, folder: &Path) -> Result<(), Failure> {
        let callbacks = self
            .callbacks(package)
            .ok_or_else(|| format!("{package}: {NO_CALLBACKS}"))?;
        let callbacks: Vec<&str> = callbacks.iter().map(String::as_str).collect();
        let library = package.replace('-', "_");
        let built = self.target()?.join(format!("{library}.wasm"));
        let module = fs::read(&built).map_err(|error| format!("{}: {error}", built.display()))?;
        let trimmed =
            callbacks::keep(&module, &callbacks).map_err(|error| format!("{package}: {error}"))?;
        let name = library.strip_suffix("_module").unwrap_or(&library);
        let output = folder.join(format!("{name}.wasm"));
        // An unchanged file keeps its time, so that make does not rebuild what depends on it.
        if fs::read(&output).ok().as_ref() != Some(&trimmed) {
            fs::write(&output, trimmed)
                .map_err(|error| format!("{}: {error}", output.display()))?;
        }
        Ok(())
    }

    fn callbacks(&self, package: &str) -> Option<Vec<String>> {
        let packages = self.0.get("packages")?.as_array()?;
        let is_wanted = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(package);
        let found = packages.iter().find(is_wanted)?;
        let callbacks = found.pointer("/metadata/envoy/callbacks")?;
        serde_json::from_value(callbacks.clone()).ok()
    }

    /// The folder with the modules that cargo built.
    fn target(&self) -> Result<PathBuf, Failure> {
        let target = self.0.get("target_directory").and_then(Value::as_str);
        let target = target.ok_or("cargo names no target directory")?;
        Ok(Path::new(target).join("wasm32-wasip1/release"))
    }
}

const NO_CALLBACKS: &str = "no such package, or its Cargo.toml has no list \"callbacks\" under \
                            [package.metadata.envoy]";
