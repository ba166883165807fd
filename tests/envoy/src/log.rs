//! Envoy's log, including the plugins' messages.

/// Begins every record. Messages may have several lines, but never contain this character.
const START: char = '\u{1e}';

/// The `--log-format` that this module reads.
pub(crate) const FORMAT: &str = "\u{1e}[%l][%n] %v";

/// One record of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// `info`, `warning`, `error` …
    pub level: String,
    /// The part of Envoy that logs: `wasm`, `main`, `config` …
    pub logger: String,
    /// The message, possibly of several lines.
    pub message: String,
}

impl LogRecord {
    /// A plugin's message, without Envoy's prefix `wasm log <root_id> <vm_id>: `; `None` for Envoy's own messages. Those
    /// of the library have no prefix, and a logger that Envoy uses as well.
    pub fn plugin_message(&self) -> Option<&str> {
        if self.logger == "dynamic_modules" {
            return Some(&*self.message).filter(|message| message.starts_with("portcullis"));
        }
        let said = self.message.strip_prefix("wasm log")?;
        Some(said.split_once(": ")?.1)
    }

    /// What a plugin in the VM of this id said.
    pub(crate) fn message_of_vm(&self, vm_id: &str) -> Option<&str> {
        let said = self.message.strip_prefix("wasm log")?;
        let (plugin, message) = said.split_once(": ")?;
        (plugin.rsplit(' ').next() == Some(vm_id)).then_some(message)
    }
}

/// Reads a log in [`FORMAT`]. Text before the first record, such as an error of the dynamic linker, is not a record.
pub(crate) fn parse(log: &str) -> Vec<LogRecord> {
    let records = log.split(START).skip(1);
    records.filter_map(parse_record).collect()
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &str) -> String {
    // After an error in the bootstrap, Envoy logs the whole of it.
    const LINES: usize = 120;
    let log = log.replace(START, "");
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn parse_record(record: &str) -> Option<LogRecord> {
    let (level, rest) = record.strip_prefix('[')?.split_once("][")?;
    let (logger, message) = rest.split_once("] ")?;
    Some(LogRecord {
        level: level.to_owned(),
        logger: logger.to_owned(),
        message: message.trim_end().to_owned(),
    })
}
