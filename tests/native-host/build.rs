//! Nothing to build. A package with `links` needs a build script, and `links` keeps two versions of
//! this crate, which would define the same symbols, out of one program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
