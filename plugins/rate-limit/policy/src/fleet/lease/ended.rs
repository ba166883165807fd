//! How long leases last, for metrics.

use portcullis_core::label::Label;
use portcullis_core::time::Nanos;

use super::Lease;

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A request took the last token.
    UsedUp,
    /// The service granted more to the key before it was used up.
    Renewed,
    /// Its window or its hold ended, and tokens were left.
    Expired,
}

/// A lease that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub why: End,
    /// The time since it was granted, in milliseconds.
    pub age_ms: u32,
}

impl Lease {
    /// How this lease ended, if `new`, the next state of the key, no longer has it.
    pub(super) fn ended(&self, new: &Self, now: Nanos) -> Option<Ended> {
        let why = match self.tokens > 0 {
            false => return None,
            true if !self.is_live(now) || new.dies == Nanos::ZERO => End::Expired,
            true if new.granted_at != self.granted_at => End::Renewed,
            true if new.tokens == 0 => End::UsedUp,
            true => return None,
        };
        let ended_at = now.min(self.dies);
        let at = (ended_at.get() / Nanos::MILLISECOND.get()) as u32;
        Some(Ended {
            why,
            age_ms: at.wrapping_sub(self.granted_at),
        })
    }
}

/// The value of the metric label `result`.
impl Label for End {
    const ALL: &'static [Self] = &[Self::UsedUp, Self::Renewed, Self::Expired];

    fn label(self) -> &'static str {
        match self {
            Self::UsedUp => "used_up",
            Self::Renewed => "renewed",
            Self::Expired => "expired",
        }
    }
}
