//! Filters that the tests share, and how they look at what filters logged.

pub(crate) mod probe;
pub(crate) mod raw;
mod script;

use proxy_wasm_native_host::{Filter, Host};

/// A filter that follows a script, in a VM of its own. The script's commands are on one line each.
pub(crate) fn scripted(name: &str, script: &str) -> Filter {
    let script = format!("{name}\n{script}");
    Filter::from_fn(name, probe::init)
        .vm_id(name)
        .config(script)
}

/// What filters logged so far.
pub(crate) fn said(host: &Host) -> Vec<String> {
    let lines = host.logs().into_iter();
    lines.map(|line| line.message).collect()
}

/// How often a line was logged.
pub(crate) fn count(host: &Host, message: &str) -> usize {
    said(host).iter().filter(|line| *line == message).count()
}
