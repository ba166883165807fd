//! When a token is valid.
//!
//! Times in a token are seconds since the Unix epoch, by the wall clock; fractions are cut off. With
//! *s* for `clock_skew`, a token is refused
//!
//! - without `exp`, if the provider has `require_expiration` or `max_lifetime`;
//! - at and after `exp` + *s* (RFC 7519, section 4.1.4: the time must be *before* `exp`);
//! - before `nbf` − *s* and before `iat` − *s*;
//! - if it lives for longer than `max_lifetime`, from `iat` to `exp`. Without `iat` it is what is left
//!   that counts, and *s* is added to `max_lifetime`, since it is reckoned by this clock.

use serde_json::Value;

use super::reason::Reason;
use crate::jose::Object;

/// What a provider says about times, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeSettings {
    pub(super) clock_skew: u64,
    pub(super) require_expiration: bool,
    pub(super) max_lifetime: Option<u64>,
}

/// The times at which a token is valid, clock skew included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: u64,
    /// The first second at which it is not valid any more.
    expires: u64,
}

impl Validity {
    /// Whether the token is valid now, in seconds.
    pub(super) fn contains(self, now: u64) -> bool {
        self.not_before <= now && now < self.expires
    }
}

impl TimeSettings {
    /// When the token is valid, which it is `now`; else, why it is not.
    pub(super) fn check(self, claims: &Object, now: u64) -> Result<Validity, Reason> {
        let time = |name| claims.get(name).and_then(seconds_of);
        let (exp, nbf, iat) = (time("exp"), time("nbf"), time("iat"));
        if exp.is_none() && (self.require_expiration || self.max_lifetime.is_some()) {
            return Err(Reason::NoExpiration);
        }
        let expires = exp.map_or(u64::MAX, |exp| exp.saturating_add(self.clock_skew));
        if now >= expires {
            return Err(Reason::Expired);
        }
        let starts = |time: Option<u64>| time.unwrap_or(0).saturating_sub(self.clock_skew);
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
            if exp.saturating_sub(start) > longest {
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
pub(super) fn seconds_of(value: &Value) -> Option<u64> {
    // The conversion of a fraction ends at the bounds of the integers.
    let fraction = || value.as_f64().map(|seconds| seconds as u64);
    value.as_u64().or_else(fraction)
}
