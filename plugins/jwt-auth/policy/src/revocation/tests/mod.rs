//! Lists of tokens, as they are written and as they are asked.

mod configuration;
mod document;
mod list;

use super::*;
use portcullis_table::Seed;

const IDP: &str = "https://idp.example";

/// A wall clock, in seconds.
const NOW: u64 = 1_700_000_000;

const SKEW: u64 = 60;

fn seed() -> Seed {
    Seed::new([7; 16])
}

#[track_caller]
fn parse(text: &str) -> RevocationList {
    RevocationList::parse(text.as_bytes(), &seed()).unwrap()
}
