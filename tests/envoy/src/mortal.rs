//! Copies of modules that can be made to crash.
//!
//! The plugins do not panic, so the bytes that are released cannot show what becomes of a crash.
//! The SDK does panic if its `proxy_on_vm_start` is given a context that is no root context, and
//! Envoy calls `proxy_on_request_trailers`, which has the same type, with a stream's. A mortal copy
//! exports that function under this name too: a request with trailers kills the VM. All else is as
//! released.

use std::fs;
use std::path::{Path, PathBuf};

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

/// What a request must have for the VM to die of it.
const DEADLY: &str = "proxy_on_request_trailers";
/// What the VM dies of.
const CAUSE: &str = "proxy_on_vm_start";

/// Writes a mortal copy of a module into `directory`, and returns where it is.
///
/// # Panics
/// If it is not a module of the SDK.
pub fn copy(module: &Path, directory: &Path) -> PathBuf {
    let bytes = fs::read(module)
        .unwrap_or_else(|error| panic!("{}: {error}: run `make build`", module.display()));
    let copy = directory
        .join(module.file_name().expect("a file"))
        .with_extension("mortal.wasm");
    // Tests in parallel write the same, each in one go.
    let next = tempfile::NamedTempFile::new_in(directory).expect("a temporary file");
    fs::write(next.path(), mortal(&bytes)).expect("writing a temporary file");
    next.persist(&copy).expect("renaming a temporary file");
    copy
}

fn mortal(module: &[u8]) -> Vec<u8> {
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
                if export.name == DEADLY {
                    continue;
                }
                section.export(export.name, kind, export.index);
                if export.name == CAUSE {
                    section.export(DEADLY, kind, export.index);
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
