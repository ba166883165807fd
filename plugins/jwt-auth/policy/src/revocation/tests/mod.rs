//! Revocation lists: their format, and look-ups.

mod configuration;
mod document;
mod list;

use super::*;
use portcullis_core::time::UnixSeconds;
use portcullis_table::Seed;

const IDP: &str = "https://idp.example";

/// The time now, as a `NumericDate`.
const SECONDS: u64 = 1_700_000_000;

const NOW: UnixSeconds = UnixSeconds::new(SECONDS);

/// The last time of all.
const LAST: UnixSeconds = UnixSeconds::new(u64::MAX);

const SKEW: u64 = 60;

fn seed() -> Seed {
    Seed::new([7; 16])
}

#[track_caller]
fn parse(text: &str) -> RevocationList {
    RevocationList::parse(text.as_bytes(), &seed()).unwrap()
}
