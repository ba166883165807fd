//! The `log` crate's way to Envoy's log.
//!
//! Not the SDK's logger: it panics when a line cannot be logged, and it replaces the panic hook of
//! the process, which natively belongs to the test host. Envoy logs a panic all the same, because
//! Rust writes it to standard error.

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

/// Sends what is logged to Envoy, leaving out what Envoy would not log anyway.
pub(crate) fn init() {
    // An error means that it is set already: natively several VMs share one process.
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
