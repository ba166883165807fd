//! The rules that apply to a request.

use portcullis_core::matcher::FirstMatch;

/// A rule of the configuration. The default stands for the case that no rule fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleId(usize);

impl RuleId {
    /// The position in [`SecurityHeaders::rules`](super::SecurityHeaders::rules).
    pub fn index(self) -> usize {
        self.0
    }
}

/// The rules that certainly or possibly fit a request. By default, no rule fits.
///
/// The first rule that certainly fits, or the case that none does, is the selected one. Earlier rules that possibly
/// fit are selected in some reading of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    certain: RuleId,
    possible: Vec<RuleId>,
}

impl Selection {
    pub(super) fn new(choice: FirstMatch) -> Self {
        // 0 is the case that no rule fits.
        let rule = |at| RuleId(at + 1);
        Self {
            certain: choice.certain.map_or(RuleId::default(), rule),
            possible: choice.possible.into_iter().map(rule).collect(),
        }
    }

    /// The rule that fits in every reading in which no [possible](Self::possible) rule fits.
    pub fn certain(&self) -> RuleId {
        self.certain
    }

    /// The rules that fit in some reading, in order. For nearly all requests there are none.
    pub fn possible(&self) -> &[RuleId] {
        &self.possible
    }

    /// All rules, the certain one first.
    pub(super) fn rules(&self) -> impl Iterator<Item = RuleId> {
        std::iter::once(self.certain).chain(self.possible.iter().copied())
    }
}
