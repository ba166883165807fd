//! Selects the first of several rules that a request matches.

use super::{Match, Subject};
use crate::readings::Fit;

/// The rules that may be the first match of a request, by their positions.
///
/// The first certain match ends the search. A possible match before it may be the first match for the server that
/// handles the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstMatch {
    /// Possible matches before the certain one, in order. Empty for nearly all requests.
    pub possible: Vec<usize>,
    /// The first certain match; `None` if there is none.
    pub certain: Option<usize>,
}

impl FirstMatch {
    /// Finds the rules. A rule without a condition matches every request.
    pub fn of<'m>(
        rules: impl Iterator<Item = Option<&'m Match>> + Clone,
        subject: &Subject<'_>,
    ) -> Self {
        let mut first = Self::default();
        for (position, rule) in rules.clone().enumerate() {
            match rule.map_or(Fit::Certain, |rule| rule.fit(subject)) {
                Fit::No => {}
                Fit::Possible => first.possible.push(position),
                Fit::Certain => {
                    first.certain = Some(position);
                    break;
                }
            }
        }
        if !first.possible.is_empty() && subject.has_one_path() {
            first.keep_apart(rules);
        }
        first
    }

    /// The first rule, if a possible match counts as a match.
    pub fn first(&self) -> Option<usize> {
        self.possible.first().copied().or(self.certain)
    }

    /// If there are rules for both `/docs/` and `/Docs/`, each is meant for its own spelling: a path that matches
    /// one of them exactly is no loose match of the other.
    fn keep_apart<'m>(&mut self, rules: impl Iterator<Item = Option<&'m Match>> + Clone) {
        let rule = |position| rules.clone().nth(position).flatten();
        let Some(certain) = self.certain.and_then(rule) else {
            return;
        };
        self.possible
            .retain(|position| !rule(*position).is_some_and(|rule| rule.is_told_apart_by(certain)));
    }
}
