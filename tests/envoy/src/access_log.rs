//! Envoy's access log: what it itself says about a request when all is over.

use serde_json::{Value, json};

/// One request, as Envoy logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// The request method.
    pub method: String,
    /// The request target, as the client sent it unless Envoy was told to normalise paths.
    pub target: String,
    /// The status that the client was sent; 0 if it was gone before there was one.
    pub status: u16,
    /// Response flags, comma-separated (`UF`, `UC`, `NR`, `DC` …), or `-` for none.
    pub flags: String,
    /// Why the response is what it is (`via_upstream`, `route_not_found` …).
    pub details: String,
    /// How often the upstream was tried.
    pub attempts: u32,
}

/// The `json_format` that makes such entries.
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
