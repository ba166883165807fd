//! The backend of the `log` crate: it writes to Envoy's log.
//!
//! It replaces the SDK's logger, which panics when a line cannot be logged, and which installs a panic hook for
//! the whole process; in a native process that hook belongs to the test host. Envoy logs panics anyway, because
//! Rust writes them to standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::abi;

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = match record.level() {
                Level::Trace => 0,
                Level::Debug => 1,
                Level::Info => 2,
                Level::Warn => 3,
                Level::Error => 4,
            };
            abi::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Sends log lines to Envoy, except those below Envoy's log level.
pub(crate) fn init() {
    // An error means that the logger is already set: in a native process several VMs share it.
    let _ = log::set_logger(&Logger);
    log::set_max_level(match abi::log_level() {
        Ok(0) => LevelFilter::Trace,
        Ok(1) => LevelFilter::Debug,
        Ok(3) => LevelFilter::Warn,
        Ok(4) => LevelFilter::Error,
        Ok(5) => LevelFilter::Off,
        _ => LevelFilter::Info,
    });
}
