//! The lines of one header, and sets of names.

use std::cmp::Ordering;

use bytes::Bytes;

use portcullis_core::headers::HeaderMap;

/// Whether a header is present.
pub(super) fn has(headers: &HeaderMap, name: &[u8]) -> bool {
    headers.iter().any(|(other, _)| other == name)
}

/// The values of a header, one for each line.
pub(super) fn lines(headers: &HeaderMap, name: &[u8]) -> Vec<Bytes> {
    let lines = headers.entries().filter(|(other, _)| *other == name);
    lines.map(|(_, value)| value.clone()).collect()
}

/// A set of header names.
#[derive(Debug)]
pub(super) struct NameSet {
    sorted: Vec<Bytes>,
    /// A bit for each length of a name. Few other headers have one of these lengths.
    lengths: u64,
}

impl NameSet {
    pub(super) fn new(names: impl IntoIterator<Item = Bytes>) -> Self {
        let mut sorted: Vec<Bytes> = names.into_iter().collect();
        sorted.sort_unstable_by(|left, right| order(left, right));
        let bits = sorted.iter().map(|name| length_bit(name));
        Self {
            lengths: bits.fold(0, |all, bit| all | bit),
            sorted,
        }
    }

    /// Whether any of these headers is present.
    pub(super) fn are_in(&self, headers: &HeaderMap) -> bool {
        headers.iter().any(|(name, _)| self.contains(name))
    }

    fn contains(&self, name: &[u8]) -> bool {
        let is_possible = self.lengths & length_bit(name) != 0;
        is_possible && self.sorted.binary_search_by(|own| order(own, name)).is_ok()
    }
}

/// Shorter names first: few names have to be compared byte by byte.
fn order(left: &[u8], right: &[u8]) -> Ordering {
    let by_length = left.len().cmp(&right.len());
    by_length.then_with(|| left.cmp(right))
}

/// Names of more than 63 bytes share a bit.
fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}
