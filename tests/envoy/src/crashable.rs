//! Copies of modules that a request can crash.
//!
//! The plugins do not panic, so the released bytes cannot show the effects of a crash. But the SDK panics if its
//! `proxy_on_vm_start` receives a context that is not a root context, and Envoy calls `proxy_on_request_trailers`, which
//! has the same type, with a stream's. A crashable copy also exports the first function under the second name: a
//! request with trailers crashes the VM. Everything else is as released.

use std::fs;
use std::path::{Path, PathBuf};

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

/// The callback that crashes the VM.
const CRASHING_CALLBACK: &str = "proxy_on_request_trailers";
/// The function that panics.
const PANICKING: &str = "proxy_on_vm_start";

/// Writes a crashable copy of a module into `directory`, and returns its path.
///
/// # Panics
/// If it is not a module of the SDK.
pub fn copy(module: &Path, directory: &Path) -> PathBuf {
    let bytes = fs::read(module)
        .unwrap_or_else(|error| panic!("{}: {error}: run `make build`", module.display()));
    let copy = directory
        .join(module.file_name().expect("a file"))
        .with_extension("crashable.wasm");
    // Parallel tests write the same file, each with one rename.
    let next = tempfile::NamedTempFile::new_in(directory).expect("a temporary file");
    fs::write(next.path(), crashable(&bytes)).expect("writing a temporary file");
    next.persist(&copy).expect("renaming a temporary file");
    copy
}

fn crashable(module: &[u8]) -> Vec<u8> {
    let mut copy = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.expect("a module");
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export.expect("an export");
                let kind = match export.kind {
                    ExternalKind::Func => ExportKind::Func,
                    ExternalKind::Memory => ExportKind::Memory,
                    kind => panic!("modules of the SDK export no {kind:?}"),
                };
                if export.name == CRASHING_CALLBACK {
                    continue;
                }
                section.export(export.name, kind, export.index);
                if export.name == PANICKING {
                    section.export(CRASHING_CALLBACK, kind, export.index);
                }
            }
            copy.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            let range = range.start as usize..range.end as usize;
            let data = &module[range];
            copy.section(&RawSection { id, data });
        }
    }
    copy.finish()
}
