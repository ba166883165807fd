//! Envoy's access log: its record of a request that has ended.

use serde_json::{Value, json};

/// One request, as Envoy logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// The request method.
    pub method: String,
    /// The request target, as the client sent it unless Envoy was told to normalise paths.
    pub target: String,
    /// The status that Envoy sent to the client; 0 if the client disconnected first.
    pub status: u16,
    /// Response flags, comma-separated (`UF`, `UC`, `NR`, `DC` …), or `-` for none.
    pub flags: String,
    /// The origin of the response (`via_upstream`, `route_not_found` …).
    pub details: String,
    /// The number of attempts.
    pub attempts: u32,
}

/// The `json_format` of these entries.
pub(crate) fn format() -> Value {
    json!({
        "method": "%REQ(:METHOD)%",
        "target": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    })
}

/// Reads complete lines only: Envoy may be writing the next.
pub(crate) fn parse(log: &str) -> Vec<AccessLogEntry> {
    log.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| {
            let entry: Value = serde_json::from_str(line).expect("Envoy logs JSON");
            let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
            AccessLogEntry {
                method: text("method"),
                target: text("target"),
                status: number(&entry["status"]),
                flags: text("flags"),
                details: text("details"),
                attempts: number(&entry["attempts"]),
            }
        })
        .collect()
}

fn number<T: TryFrom<u64> + Default>(value: &Value) -> T {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_default()
}
