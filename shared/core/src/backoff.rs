//! Exponential back-off with jitter: how long to wait before attempt *n*, spread out so that those who failed
//! together do not return together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
//!
//! ```
//! use portcullis_core::backoff::{Backoff, Jitter};
//! use portcullis_core::time::Nanos;
//!
//! let backoff = Backoff {
//!     base: Nanos::from_secs(1),
//!     factor: 2,
//!     max: Nanos::from_secs(30),
//!     jitter: Jitter::None,
//! };
//! let delays = [0, 1, 2, 10].map(|attempt| backoff.delay(attempt, 0).ceil_secs());
//! assert_eq!(delays, [1, 2, 4, 30]);
//! ```

use crate::time::Nanos;

/// A series of delays that grow by a factor up to a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay of attempt 0.
    pub base: Nanos,
    /// Each delay is this many times the previous one. 1: all delays are equal.
    pub factor: u32,
    /// The longest delay, before jitter.
    pub max: Nanos,
    /// How far the delays vary.
    pub jitter: Jitter,
}

/// How far a delay varies at random.
///
/// A larger `random` always gives an equal or a longer delay, and [`u64::MAX`] the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// It does not vary.
    None,
    /// More than half of the delay, at most all of it.
    Equal,
    /// Anything above zero, at most the delay.
    #[default]
    Full,
    /// This many percent shorter to this many percent longer, so possibly beyond the maximum; at most 100.
    PlusMinus {
        /// The largest deviation.
        percent: u32,
    },
}

impl Backoff {
    /// The delay of an attempt, counted from 0. `random` is any number, evenly distributed.
    pub fn delay(&self, attempt: u32, random: u64) -> Nanos {
        let growth = u64::from(self.factor).saturating_pow(attempt);
        let delay = (self.base * growth).min(self.max);
        self.jitter.apply(delay, random)
    }
}

impl Jitter {
    /// Varies a delay. `random` is any number, evenly distributed.
    pub fn apply(self, delay: Nanos, random: u64) -> Nanos {
        match self {
            Self::None => delay,
            Self::Equal => delay - fraction(delay / 2, !random),
            Self::Full => delay - fraction(delay, !random),
            Self::PlusMinus { percent } => {
                let delay = u128::from(delay.get());
                let deviation = delay * u128::from(percent.min(100)) / 100;
                let longest = Nanos::new(u64::try_from(delay + deviation).unwrap_or(u64::MAX));
                // One more, so that both ends are reached.
                let width = u64::try_from(2 * deviation + 1).unwrap_or(u64::MAX);
                longest - fraction(Nanos::new(width), !random)
            }
        }
    }
}

/// A random part of a time: from zero to just below all of it. `random` is any number, evenly distributed.
pub fn fraction(whole: Nanos, random: u64) -> Nanos {
    let product = u128::from(whole.get()) * u128::from(random);
    // The upper half of a product of 64 bits each always fits.
    Nanos::new((product >> u64::BITS) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const DAY: Nanos = Nanos::from_secs(86_400);

    fn backoff(factor: u32, jitter: Jitter) -> Backoff {
        Backoff {
            base: Nanos::from_millis(100),
            factor,
            max: Nanos::from_secs(1),
            jitter,
        }
    }

    #[test]
    fn delays_grow_up_to_the_maximum() {
        let delays = |factor| {
            let backoff = backoff(factor, Jitter::None);
            [0, 1, 2, 3, 63, 64, u32::MAX].map(|attempt| backoff.delay(attempt, 7).ceil_millis())
        };
        assert_eq!(delays(1), [100; 7]);
        assert_eq!(delays(2), [100, 200, 400, 800, 1_000, 1_000, 1_000]);
        assert_eq!(delays(3), [100, 300, 900, 1_000, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn jitter_has_its_bounds_and_its_middle() {
        let delays = |jitter| {
            let backoff = backoff(1, jitter);
            [0, 1 << 63, u64::MAX].map(|random| backoff.delay(0, random).get())
        };
        assert_eq!(delays(Jitter::None), [100_000_000; 3]);
        assert_eq!(delays(Jitter::Equal), [50_000_001, 75_000_001, 100_000_000]);
        assert_eq!(delays(Jitter::Full), [1, 50_000_001, 100_000_000]);
        let percent = delays(Jitter::PlusMinus { percent: 20 });
        assert_eq!(percent, [80_000_000, 100_000_000, 120_000_000]);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(
            delay in 0..=DAY.get(), percent in 0..=100_u32, random in any::<u64>(),
        ) {
            let full = Nanos::new(delay);
            let ranges = [
                (Jitter::None, full, full),
                (Jitter::Equal, full / 2, full),
                (Jitter::Full, Nanos::ZERO, full),
                (
                    Jitter::PlusMinus { percent },
                    full - full * u64::from(percent) / 100,
                    full + full * u64::from(percent) / 100,
                ),
            ];
            for (jitter, shortest, longest) in ranges {
                let varied = jitter.apply(full, random);
                prop_assert!(shortest <= varied && varied <= longest, "{jitter:?}: {varied:?}");
                prop_assert!(varied <= jitter.apply(full, random.saturating_add(1 << 40)));
            }
        }

        #[test]
        fn no_numbers_are_too_large(
            [base, max, random] in any::<[u64; 3]>(), [factor, attempt, percent] in any::<[u32; 3]>(),
        ) {
            for jitter in [Jitter::None, Jitter::Equal, Jitter::Full, Jitter::PlusMinus { percent }] {
                let (base, max) = (Nanos::new(base), Nanos::new(max));
                let delay = Backoff { base, factor, max, jitter }.delay(attempt, random);
                prop_assert!(delay <= max * 2);
            }
        }
    }
}
