//! Links the unwinder into the library, so that it needs no `libgcc_s.so.1`, which small images lack.
//!
//! Rust asks the linker for `gcc_s`. A file of this name that is found first refers it to the static archives.

#![allow(
    clippy::disallowed_methods,
    reason = "a build script writes a file where cargo says"
)]

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let folder = Path::new(&folder);
    fs::write(
        folder.join("libgcc_s.so"),
        "INPUT(-l:libgcc_eh.a -l:libgcc.a)\n",
    )?;
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
