//! All plugins together: one chain, and rules for the crates and manuals of all of them.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests, which read manifests, sources and manuals"
)]

mod handover;
mod house;
mod manuals;

use std::path::Path;

/// The repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
