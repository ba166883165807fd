//! Serves the rate-limit service until it is ended. Its settings are variables of the environment, as in the original:
//!
//! - `RUNTIME_ROOT` and `RUNTIME_SUBDIRECTORY`: folders whose subfolder `config` has the limits, in one file;
//! - `REDIS_URL`: the address of Redis;
//! - `GRPC_HOST` and `GRPC_PORT`: where it listens (127.0.0.1 and 8081).
//!
//! `FAULT` makes all calls fail: see `Fault`.

use std::env;
use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use portcullis_ratelimit_service::{Control, Limits, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(setting("RUNTIME_ROOT", "."));
    let file = only_file(
        &root
            .join(setting("RUNTIME_SUBDIRECTORY", ""))
            .join("config"),
    )?;
    let in_file = |why: String| format!("{}: {why}", file.display());
    let text = fs::read_to_string(&file).map_err(|error| in_file(error.to_string()))?;
    let limits = Limits::from_yaml(&text).map_err(in_file)?;
    let control = Control::default();
    control.set(setting("FAULT", "none").parse()?);
    let port = setting("GRPC_PORT", "8081").parse()?;
    let listener = TcpListener::bind((setting("GRPC_HOST", "127.0.0.1").as_str(), port))?;
    let redis = setting("REDIS_URL", "127.0.0.1:6379").parse()?;
    let _server = Server::start(listener, limits, redis, &control)?;
    loop {
        std::thread::park();
    }
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    <[PathBuf; 1]>::try_from(files)
        .map(|[file]| file)
        .map_err(|files| {
            format!(
                "{} has {} files; one was expected",
                folder.display(),
                files.len()
            )
        })
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
