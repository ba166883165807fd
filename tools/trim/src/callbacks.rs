//! Selects the exports that a module keeps.

use std::collections::BTreeSet;

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

use crate::Failure;

/// The prefix of callbacks. All other exports stay: the memory, `_initialize` and the version of the ABI.
const PREFIX: &str = "proxy_on_";

/// The callbacks that every module needs: the allocator for the host, the start and the end of contexts (without
/// `delete`, the SDK would keep every stream forever), and the configuration.
pub(crate) const ALWAYS: [&str; 5] = [
    "memory_allocate",
    "context_create",
    "delete",
    "vm_start",
    "configure",
];

/// Removes all callbacks except those in [`ALWAYS`] and in this list (both without the prefix `proxy_on_`). All other
/// bytes of the module stay the same.
pub(crate) fn keep(module: &[u8], callbacks: &[&str]) -> Result<Vec<u8>, Failure> {
    let wanted: BTreeSet<&str> = ALWAYS.iter().chain(callbacks).copied().collect();
    if wanted.len() < ALWAYS.len() + callbacks.len() {
        return Err("a callback is listed twice, or is one that every module has".into());
    }
    let mut missing = wanted.clone();
    let mut kept = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export?;
                if let Some(callback) = export.name.strip_prefix(PREFIX) {
                    missing.remove(callback);
                    if !wanted.contains(callback) {
                        continue;
                    }
                }
                section.export(export.name, kind(export.kind)?, export.index);
            }
            kept.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).ok_or("a section that is cut short")?;
            kept.section(&RawSection { id, data });
        }
    }
    match missing.first() {
        Some(callback) => Err(format!("the module does not export {PREFIX}{callback}").into()),
        None => Ok(kept.finish()),
    }
}

fn kind(kind: ExternalKind) -> Result<ExportKind, Failure> {
    match kind {
        ExternalKind::Func => Ok(ExportKind::Func),
        ExternalKind::Memory => Ok(ExportKind::Memory),
        ExternalKind::Table => Ok(ExportKind::Table),
        ExternalKind::Global => Ok(ExportKind::Global),
        kind => Err(format!("an export of an unknown kind: {kind:?}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these exports in addition to the memory, and with content in every other section.
    fn module(exports: &[&str]) -> Vec<u8> {
        let exports: String = exports
            .iter()
            .map(|name| format!("(export \"{name}\" (func $called))"))
            .collect();
        let text = format!(
            "(module $named
               (import \"env\" \"proxy_log\" (func $log (param i32 i32 i32) (result i32)))
               (memory (export \"memory\") 1)
               (global (mut i32) (i32.const 7))
               (table 1 funcref) (elem (i32.const 0) $called)
               (data (i32.const 8) \"bytes\")
               (func $called (drop (call $log (i32.const 2) (i32.const 8) (i32.const 5))))
               {exports})"
        );
        wat::parse_str(text).unwrap()
    }

    const OTHERS: [&str; 2] = ["_initialize", "proxy_abi_version_0_2_1"];

    fn always() -> Vec<String> {
        ALWAYS
            .iter()
            .map(|name| format!("{PREFIX}{name}"))
            .collect()
    }

    fn with_always<'a>(always: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
        let always = always.iter().map(String::as_str);
        OTHERS
            .into_iter()
            .chain(always)
            .chain(more.iter().copied())
            .collect()
    }

    #[test]
    fn what_is_left_is_the_module_without_the_other_callbacks() {
        let always = always();
        let all = [
            "proxy_on_request_headers",
            "proxy_on_request_body",
            "proxy_on_done",
            "proxy_on_log",
        ];
        let full = module(&with_always(&always, &all));

        let kept = keep(&full, &["request_headers", "log"]).unwrap();

        let expected = ["proxy_on_request_headers", "proxy_on_log"];
        assert_eq!(kept, module(&with_always(&always, &expected)));
    }

    #[test]
    fn a_callback_that_the_module_has_not_is_an_error() {
        let always = always();
        let full = module(&with_always(&always, &["proxy_on_log"]));

        let error = keep(&full, &["log", "request_header"]).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the module does not export proxy_on_request_header"
        );
    }

    #[test]
    fn a_module_that_lacks_what_all_need_is_an_error() {
        let error = keep(&module(&OTHERS), &[]).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the module does not export proxy_on_configure"
        );
    }

    #[test]
    fn a_callback_listed_twice_is_an_error() {
        let always = always();
        let full = module(&with_always(&always, &["proxy_on_log"]));

        assert!(keep(&full, &["log", "log"]).is_err());
        assert!(keep(&full, &["delete"]).is_err());
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        assert!(keep(b"", &[]).is_err());
        assert!(keep(b"\0asm\x01\0\0", &[]).is_err());
        let full = module(&OTHERS);
        assert!(keep(full.get(..full.len() - 3).unwrap(), &[]).is_err());
    }
}
