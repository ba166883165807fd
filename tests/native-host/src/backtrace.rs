//! Backtraces of guests, cut to what the filter's author wrote.

use std::backtrace::Backtrace;

/// The frames between the SDK's exported function and the panic.
pub(crate) fn of_the_guest(backtrace: &Backtrace) -> String {
    let text = backtrace.to_string();
    let frames = frames(&text);
    let name = |frame: &str| {
        frame
            .split_once(": ")
            .map_or("", |(_, name)| name)
            .to_owned()
    };
    let is_panic = |frame: &&&str| {
        let name = name(frame);
        PANIC.iter().any(|part| name.contains(part))
    };
    let raised = frames
        .iter()
        .position(|frame| frame.contains("_Unwind_RaiseException"));
    let first = match raised {
        Some(raised) => raised + frames[raised..].iter().take_while(is_panic).count(),
        // It was no panic, but a host call.
        None => {
            let calls = frames
                .iter()
                .rposition(|frame| frame.contains("native_host::abi"));
            calls.map_or(0, |last| last + 1)
        }
    };
    let is_entry = |frame: &&str| {
        let name = name(frame);
        name.contains("proxy_wasm::dispatcher::")
            || name.starts_with("proxy_on_")
            || name.contains("native_host::vm::")
    };
    let inner = frames.get(first..).unwrap_or_default();
    let end = inner.iter().position(is_entry).unwrap_or(inner.len());
    inner[..end].join("\n")
}

/// Frames of the standard library between `panic!` and the unwinder, and this crate's.
const PANIC: &[&str] = &[
    "_Unwind_RaiseException",
    "core::panicking::",
    "std::panicking::",
    "core::option::",
    "core::result::",
    "rust_panic",
    "begin_panic",
    "begin_unwind",
    "std::panic::",
    "std::sys::backtrace",
];

/// Each frame with the line that says where it is.
fn frames(text: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let numbered = line.trim_start().split_once(": ");
        if numbered.is_some_and(|(number, _)| number.parse::<u32>().is_ok()) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let frames = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &text[*start..end]);
    frames.map(str::trim_end).collect()
}
