//! Short texts about a request that a proxy knows beside its headers.

use std::ops::Deref;

use smallvec::SmallVec;

/// A text such as an address or the name of a cluster. Most are short, and take no memory of their own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ShortText(SmallVec<[u8; 48]>);

impl Deref for ShortText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for ShortText {
    fn from(text: &[u8]) -> Self {
        Self(SmallVec::from_slice(text))
    }
}

impl From<Vec<u8>> for ShortText {
    fn from(text: Vec<u8>) -> Self {
        Self(SmallVec::from_vec(text))
    }
}

/// Copies the whole text at once, which the clone of a `SmallVec` does not.
impl Clone for ShortText {
    fn clone(&self) -> Self {
        self[..].into()
    }
}
