//! The time for which a token is valid.
//!
//! Times in a token are seconds since the Unix epoch on the wall clock; fractions are cut off. With *s* for
//! `clock_skew`, a token is refused
//!
//! - without `exp`, if the provider has `require_expiration` or `max_lifetime`;
//! - from `exp` + *s* on (RFC 7519, section 4.1.4: the current time must be *before* `exp`);
//! - before `nbf` − *s* and before `iat` − *s*;
//! - if it lives longer than `max_lifetime`, from `iat` to `exp`. Without `iat`, the remaining lifetime counts,
//!   and *s* is added to `max_lifetime` because the local clock measures it.

use serde_json::Value;

use super::reason::Reason;
use crate::jose::Object;
use portcullis_core::time::UnixSeconds;

/// A time that never comes: the end of a token without `exp`.
const NEVER: UnixSeconds = UnixSeconds::new(u64::MAX);

/// A provider's settings about time. Lengths are in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeSettings {
    pub(super) clock_skew: u64,
    pub(super) require_expiration: bool,
    pub(super) max_lifetime: Option<u64>,
}

/// The time for which a token is valid, clock skew included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: UnixSeconds,
    /// The first second at which the token is no longer valid.
    expires: UnixSeconds,
}

impl Validity {
    /// Whether the token is valid at this time.
    pub(super) fn contains(self, now: UnixSeconds) -> bool {
        self.not_before <= now && now < self.expires
    }
}

impl TimeSettings {
    /// The validity of a token that is valid `now`, or the reason why it is not.
    pub(super) fn check(self, claims: &Object, now: UnixSeconds) -> Result<Validity, Reason> {
        let time = |name| claims.get(name).and_then(numeric_date);
        let (exp, nbf, iat) = (time("exp"), time("nbf"), time("iat"));
        if exp.is_none() && (self.require_expiration || self.max_lifetime.is_some()) {
            return Err(Reason::NoExpiration);
        }
        let expires = exp.map_or(NEVER, |exp| exp.plus(self.clock_skew));
        if now >= expires {
            return Err(Reason::Expired);
        }
        let skew = UnixSeconds::new(self.clock_skew);
        let starts =
            |time: Option<UnixSeconds>| UnixSeconds::new(time.unwrap_or_default().since(skew));
        if now < starts(nbf) {
            return Err(Reason::NotYetValid);
        }
        if now < starts(iat) {
            return Err(Reason::IssuedInFuture);
        }
        if let (Some(longest), Some(exp)) = (self.max_lifetime, exp) {
            let (start, longest) = match iat {
                Some(iat) => (iat, longest),
                None => (now, longest.saturating_add(self.clock_skew)),
            };
            if exp.since(start) > longest {
                return Err(Reason::Lifetime);
            }
        }
        Ok(Validity {
            not_before: starts(nbf).max(starts(iat)),
            expires,
        })
    }
}

/// A time in a token, in whole seconds.
pub(super) fn numeric_date(value: &Value) -> Option<UnixSeconds> {
    // The conversion of a fraction saturates at the bounds of the integers.
    let fraction = || value.as_f64().map(|seconds| seconds as u64);
    value.as_u64().or_else(fraction).map(UnixSeconds::new)
}
