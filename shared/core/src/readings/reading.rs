//! A value that a server may find in a request.

use std::borrow::Cow;

/// A value of a request, in the light of all ways to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// No server finds a value; an empty one is none.
    Missing,
    /// Every server that is [known](super) finds this value, or a spelling of it that its
    /// [canonical form](super::value) undoes. Never empty.
    Value(Cow<'a, [u8]>),
    /// Some servers find another value than others, or find none. No one value is safe to go by, and
    /// none is not, either.
    Ambiguous,
}

/// What several occurrences of one request say of one value.
#[derive(Debug)]
pub(super) struct Occurrences<'a> {
    /// What the first place says, and whether another one says otherwise.
    found: Option<Reading<'a>>,
    /// Whether every server looks in one of the places.
    is_certain: bool,
}

impl<'a> Occurrences<'a> {
    pub(super) fn new() -> Self {
        Self {
            found: None,
            is_certain: false,
        }
    }

    /// Adds the value in one place: `is_certain` if every server looks there, rather than some. Empty
    /// values in a place of some (`key[]=`) or in several occurrences are more to some: a list.
    pub(super) fn add(&mut self, value: Reading<'a>, is_certain: bool) {
        let value = match value {
            Reading::Missing if !is_certain => Reading::Ambiguous,
            value => value,
        };
        self.is_certain |= is_certain;
        self.found = Some(match self.found.take() {
            Some(other) if other != value || other == Reading::Missing => Reading::Ambiguous,
            _ => value,
        });
    }

    /// The value that all occurrences agree on. One that only some servers find is ambiguous.
    pub(super) fn agreed(self) -> Reading<'a> {
        match self.found {
            None | Some(Reading::Missing) => Reading::Missing,
            Some(value) if self.is_certain => value,
            Some(_) => Reading::Ambiguous,
        }
    }
}
