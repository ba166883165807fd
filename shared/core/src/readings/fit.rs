//! How well a condition fits a request that may be read in several ways.

/// Whether a condition holds for a request, in the light of all its readings.
///
/// The order is that of certainty, so the fit of several conditions together is the least of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It holds in no reading.
    No,
    /// It holds in some reading, or only if a difference is overlooked that some servers overlook
    /// (letter case, a final slash). Enough for what **restricts**.
    Possible,
    /// It holds in every reading, to the letter. What **grants** needs this.
    Certain,
}

impl Fit {
    /// Whether a rule that restricts applies: it holds in some reading at least.
    pub fn restricts(self) -> bool {
        self != Self::No
    }

    /// Whether a rule that grants applies: it holds in every reading.
    pub fn grants(self) -> bool {
        self == Self::Certain
    }

    /// The fit of a condition that holds if all of these do.
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

    /// The fit of a condition that holds if one of these does.
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

    /// The fit over all readings, from whether the condition holds in each of them.
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
