//! The result of a condition on a request with several interpretations.

/// Whether a condition holds for a request, considering all its interpretations.
///
/// The order is that of certainty, so the result of several conditions that must all hold is the minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The condition holds in no interpretation.
    No,
    /// The condition holds in some interpretations, or only if a difference is ignored that some servers ignore
    /// (letter case, a trailing slash). This is enough for a rule that **restricts**.
    Possible,
    /// The condition holds exactly in every interpretation. A rule that **grants** needs this.
    Certain,
}

impl Fit {
    /// Whether a rule that restricts applies: the condition holds in at least one interpretation.
    pub fn restricts(self) -> bool {
        self != Self::No
    }

    /// Whether a rule that grants applies: the condition holds in every interpretation.
    pub fn grants(self) -> bool {
        self == Self::Certain
    }

    /// The result of the opposite condition: it holds in each interpretation in which this one does not.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::No => Self::Certain,
            Self::Possible => Self::Possible,
            Self::Certain => Self::No,
        }
    }

    /// The result of a condition that requires all of these.
    pub fn all(fits: impl IntoIterator<Item = Self>) -> Self {
        let mut least = Self::Certain;
        for fit in fits {
            if fit == Self::No {
                return Self::No;
            }
            least = least.min(fit);
        }
        least
    }

    /// The result of a condition that requires any of these.
    pub fn any(fits: impl IntoIterator<Item = Self>) -> Self {
        let mut best = Self::No;
        for fit in fits {
            if fit == Self::Certain {
                return fit;
            }
            best = best.max(fit);
        }
        best
    }

    /// The result over all interpretations, given whether the condition holds in each of them.
    pub fn over(readings: impl IntoIterator<Item = bool>) -> Self {
        let (mut holds, mut fails) = (false, false);
        for reading in readings {
            match reading {
                true => holds = true,
                false => fails = true,
            }
        }
        match (holds, fails) {
            (true, false) => Self::Certain,
            (true, true) => Self::Possible,
            (false, _) => Self::No,
        }
    }
}
