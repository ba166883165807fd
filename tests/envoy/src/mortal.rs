//! Copies of modules that can be made to crash.
//!
//! The plugins do not panic, so the bytes that are released cannot show what becomes of a crash.
//! The SDK does panic if its `proxy_on_vm_start` is given a context that is no root context, and
//! Envoy calls `proxy_on_request_trailers`, which has the same type, with a stream's. In a mortal
//! copy the export called `proxy_on_request_trailers` is the function that `proxy_on_vm_start` is:
//! a request with trailers kills the VM. All else is as released.

use std::fs;
use std::path::{Path, PathBuf};

/// What a request must have for the VM to die of it.
const DEADLY: &[u8] = b"proxy_on_request_trailers";
/// What the VM dies of.
const CAUSE: &[u8] = b"proxy_on_vm_start";

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

/// The id of the section of exports.
const EXPORTS: u8 = 7;
/// The length of the magic number and the version, which come before the sections.
const PREAMBLE: usize = 8;

fn mortal(module: &[u8]) -> Vec<u8> {
    let (preamble, mut rest) = module.split_at(PREAMBLE);
    let mut copy = preamble.to_vec();
    while let Some((id, sized)) = rest.split_first() {
        let (size, section) = number(sized);
        let (content, following) = section.split_at(size);
        let content = match *id {
            EXPORTS => exports(content),
            _ => content.to_vec(),
        };
        copy.push(*id);
        put_number(&mut copy, content.len());
        copy.extend(content);
        rest = following;
    }
    copy
}

/// The section of exports with one of them replaced.
fn exports(section: &[u8]) -> Vec<u8> {
    let (count, mut rest) = number(section);
    let mut exports = Vec::new();
    for _ in 0..count {
        let (length, named) = number(rest);
        let (name, described) = named.split_at(length);
        let (index, following) = number(&described[1..]);
        exports.push((name, described[0], index));
        rest = following;
    }
    let cause = exports.iter().find(|export| export.0 == CAUSE);
    let cause = cause.expect("a module of the SDK").2;
    let mut section = Vec::new();
    put_number(&mut section, count);
    for (name, kind, index) in exports {
        put_number(&mut section, name.len());
        section.extend(name);
        section.push(kind);
        put_number(&mut section, if name == DEADLY { cause } else { index });
    }
    section
}

/// Reads an unsigned number in LEB128. Returns it with what follows.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let (digits, rest) = bytes.split_at(length);
    let value = digits.iter().rev();
    let value = value.fold(0, |value, digit| value << 7 | usize::from(digit & 0x7f));
    (value, rest)
}

fn put_number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
