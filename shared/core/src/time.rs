//! The types of time, one for each clock.
//!
//! Policies do not read clocks; the host passes the time. State uses the **steady** clock, which nobody can set, in
//! [`Nanos`]. Times in tokens and dates in `Retry-After` use the **wall** clock, in [`UnixSeconds`]. The types keep
//! the two from being mixed.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// Nanoseconds: a duration, or a time on the steady clock, which is the duration since the clock started.
///
/// Arithmetic saturates: a clock that seems to run backwards has not moved, and a time beyond
/// [`MAX`](Self::MAX), which is 584 years, never comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// No time; also the start of the clock.
    pub const ZERO: Self = Self(0);
    /// One microsecond.
    pub const MICROSECOND: Self = Self(1_000);
    /// One millisecond.
    pub const MILLISECOND: Self = Self(1_000_000);
    /// One second.
    pub const SECOND: Self = Self(1_000_000_000);
    /// A time that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// A number of nanoseconds.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A number of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(Self::MILLISECOND.0))
    }

    /// A number of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(Self::SECOND.0))
    }

    /// The number of nanoseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In whole milliseconds, rounded up.
    pub const fn ceil_millis(self) -> u64 {
        self.0.div_ceil(Self::MILLISECOND.0)
    }

    /// In whole seconds, rounded up, so that a client that waits this long does not return too early.
    pub const fn ceil_secs(self) -> u64 {
        self.0.div_ceil(Self::SECOND.0)
    }

    /// In whole seconds, rounded down.
    pub const fn floor_secs(self) -> u64 {
        self.0 / Self::SECOND.0
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Nanos {
    type Output = Self;

    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

/// Division by zero gives zero instead of a panic.
impl Div<u64> for Nanos {
    type Output = Self;

    fn div(self, divisor: u64) -> Self {
        Self(self.0.checked_div(divisor).unwrap_or_default())
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::add)
    }
}

/// More than 584 years become [`MAX`](Nanos::MAX).
impl From<std::time::Duration> for Nanos {
    fn from(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for std::time::Duration {
    fn from(nanos: Nanos) -> Self {
        Self::from_nanos(nanos.0)
    }
}

/// Seconds since the Unix epoch on the wall clock, like a `NumericDate` of RFC 7519 without a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// A number of seconds since the epoch.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds since the epoch.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The time this many seconds later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The seconds since an earlier time; 0 if that time is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let second = Nanos::SECOND;
        assert_eq!(Nanos::ZERO - second, Nanos::ZERO);
        assert_eq!(Nanos::MAX + second, Nanos::MAX);
        assert_eq!(Nanos::MAX * 2, Nanos::MAX);
        assert_eq!(second / 0, Nanos::ZERO);
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::MAX);
        assert_eq!(UnixSeconds::new(1).since(UnixSeconds::new(2)), 0);
    }

    #[test]
    fn waits_are_rounded_up() {
        for (nanos, seconds) in [(0, 0), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(Nanos::new(nanos).ceil_secs(), seconds);
        }
        assert_eq!(Nanos::new(1_000_001).ceil_millis(), 2);
        assert_eq!(Nanos::new(1_999_999_999).floor_secs(), 1);
    }
}
