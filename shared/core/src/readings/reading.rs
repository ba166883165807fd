//! The value that servers find in a request, as far as they agree.

use std::borrow::Cow;

/// A value in a request, considering all interpretations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// No server finds a value. An empty value counts as missing.
    Missing,
    /// Every [known](super) server finds this value, or a spelling of it with the same
    /// [canonical form](super::value). Never empty.
    Value(Cow<'a, [u8]>),
    /// Servers find different values, or only some of them find one. Neither a single value nor "missing" is safe
    /// to assume.
    Ambiguous,
}

/// Combines the occurrences of one value in a request.
#[derive(Debug)]
pub(super) struct Occurrences<'a> {
    /// The value of the occurrences so far; ambiguous if they differ.
    found: Option<Reading<'a>>,
    /// Whether there is an occurrence that every server finds.
    is_certain: bool,
}

impl<'a> Occurrences<'a> {
    pub(super) fn new() -> Self {
        Self {
            found: None,
            is_certain: false,
        }
    }

    /// Adds one occurrence; `is_certain` if every server finds it. An empty occurrence that only some servers find
    /// (`key[]=`), and several empty occurrences, are not missing: some servers read a list.
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

    /// The value of all occurrences. It is ambiguous if only some servers find it.
    pub(super) fn agreed(self) -> Reading<'a> {
        match self.found {
            None | Some(Reading::Missing) => Reading::Missing,
            Some(value) if self.is_certain => value,
            Some(_) => Reading::Ambiguous,
        }
    }
}
