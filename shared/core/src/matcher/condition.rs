//! The condition on a header or a claim.

use super::pattern::{Pattern, not_exactly_one};
use super::regex::Regex;

/// A condition on something that has values, or is absent.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// It has a value that matches.
    Value(Pattern),
    /// It is present, or absent.
    Present(bool),
}

impl Condition {
    /// The condition of these members, of which exactly one must be given.
    pub(super) fn new(
        exact: Option<String>,
        prefix: Option<String>,
        regex: Option<Regex>,
        present: Option<bool>,
    ) -> Result<Self, String> {
        let given = [
            ("exact", exact.is_some()),
            ("prefix", prefix.is_some()),
            ("regex", regex.is_some()),
            ("present", present.is_some()),
        ];
        match (exact, prefix, regex, present) {
            (Some(exact), None, None, None) => Ok(Self::Value(Pattern::Exact(exact))),
            (None, Some(prefix), None, None) => Ok(Self::Value(Pattern::Prefix(prefix))),
            (None, None, Some(regex), None) => Ok(Self::Value(Pattern::Regex(regex))),
            (None, None, None, Some(present)) => Ok(Self::Present(present)),
            _ => Err(not_exactly_one(&given)),
        }
    }
}
