//! Changes to a header map.

use bytes::Bytes;

/// One change to a header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Replace all values of the header by this one.
    Set(&'a Bytes, &'a Bytes),
    /// Add this value to the header, as a line of its own.
    Append(&'a Bytes, &'a [u8]),
    /// Remove the header.
    Remove(&'a Bytes),
    /// Replace all values of the header by these, one line each.
    SetLines(&'a Bytes, &'a [Bytes]),
}

/// A change that the map keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    Set(Bytes, Bytes),
    Append(Bytes, Bytes),
    Remove(Bytes),
    SetLines(Bytes, Vec<Bytes>),
}

impl Recorded {
    /// The name of the header.
    pub(super) fn name(&self) -> &Bytes {
        match self {
            Self::Set(name, _)
            | Self::Append(name, _)
            | Self::Remove(name)
            | Self::SetLines(name, _) => name,
        }
    }

    pub(super) fn as_change(&self) -> Change<'_> {
        match self {
            Self::Set(name, value) => Change::Set(name, value),
            Self::Append(name, value) => Change::Append(name, value),
            Self::Remove(name) => Change::Remove(name),
            Self::SetLines(name, lines) => Change::SetLines(name, lines),
        }
    }
}
