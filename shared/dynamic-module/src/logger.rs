//! The backend of the `log` crate: it writes to Envoy's log, under `dynamic_modules`.

use std::panic::{self, PanicHookInfo};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{abi, rehearsal};

struct Logger;

impl Log for Logger {
    /// Asks Envoy, whose level can change at any time (`/logging?dynamic_modules=debug`).
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // SAFETY: no pointers are passed.
        !rehearsal::is_running() && unsafe { abi::log_enabled(number(metadata.level())) }
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(number(record.level()), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn number(level: Level) -> u32 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    }
}

fn write(level: u32, message: &str) {
    // SAFETY: Envoy copies the message.
    unsafe { abi::log(level, message.as_bytes().into()) }
}

/// Sends log lines to Envoy, and panics too, which Rust would write to standard error.
pub(crate) fn init() {
    // An error means that the logger is already set.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Debug);
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    const CRITICAL: u32 = 5;
    write(CRITICAL, &format!("portcullis: {panic}"));
}
