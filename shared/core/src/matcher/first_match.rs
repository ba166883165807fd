//! Which of several rules a request meets first.

use super::{Match, Subject};
use crate::readings::Fit;

/// The rules that may be the first to fit a request, by their positions.
///
/// The first rule that fits for certain ends the search. Those before it that possibly fit may be the
/// first one for the server that handles the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstMatch {
    /// Rules that possibly fit, in order. Empty for nearly all requests.
    pub possible: Vec<usize>,
    /// The first rule that fits for certain; none if no rule does.
    pub certain: Option<usize>,
}

impl FirstMatch {
    /// Looks for the rules; a rule without a condition fits every request.
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

    /// The rule that a request falls under which all of them are for: the first one.
    pub fn first(&self) -> Option<usize> {
        self.possible.first().copied().or(self.certain)
    }

    /// Where rules for `/docs/` and for `/Docs/` stand side by side, each is for its own spelling: a
    /// path that fits one of them to the letter does not fit the other one loosely.
    fn keep_apart<'m>(&mut self, rules: impl Iterator<Item = Option<&'m Match>> + Clone) {
        let rule = |position| rules.clone().nth(position).flatten();
        let Some(certain) = self.certain.and_then(rule) else {
            return;
        };
        self.possible
            .retain(|position| !rule(*position).is_some_and(|rule| rule.is_told_apart_by(certain)));
    }
}
