//! Envoy's own log, and in it what the plugins say.

/// Begins every record. Messages may have several lines, and this character is in none.
const START: char = '\u{1e}';

/// The `--log-format` that this module reads.
pub(crate) const FORMAT: &str = "\u{1e}[%l][%n] %v";

/// One record of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// `info`, `warning`, `error` …
    pub level: String,
    /// The part of Envoy that speaks: `wasm`, `main`, `config` …
    pub logger: String,
    /// The message, possibly of several lines.
    pub message: String,
}

impl LogRecord {
    /// What a plugin said, without Envoy's `wasm log <root_id> <vm_id>: ` in front; `None` if
    /// it was Envoy that spoke.
    pub fn plugin_message(&self) -> Option<&str> {
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

/// Reads a log in [`FORMAT`]. What comes before the first record (a crash of the dynamic
/// linker, say) is no record.
pub(crate) fn parse(log: &str) -> Vec<LogRecord> {
    let records = log.split(START).skip(1);
    records.filter_map(parse_record).collect()
}

/// The last lines of a log, to show to someone.
pub(crate) fn tail(log: &str) -> String {
    const LINES: usize = 60;
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
