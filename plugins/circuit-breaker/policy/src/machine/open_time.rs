//! For how long a circuit stays open.

/// How long circuits stay open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenTime {
    /// In nanoseconds, as are the others.
    pub(crate) base: u64,
    pub(crate) factor: u32,
    pub(crate) max: u64,
    /// In percent.
    pub(crate) jitter: u32,
}

impl OpenTime {
    /// The time of a circuit that has opened so many times in a row before. `random` makes the jitter.
    pub(super) fn after(self, trips: u16, random: u64) -> u64 {
        let mut time = self.base;
        for _ in 0..trips {
            if time >= self.max || self.factor == 1 {
                break;
            }
            time = time.saturating_mul(self.factor.into());
        }
        let time = time.min(self.max);
        let spread = u128::from(time) * u128::from(self.jitter) / 100;
        // From 0 to twice the spread: the product's upper half.
        let offset = ((2 * spread + 1) * u128::from(random)) >> u64::BITS;
        u64::try_from(u128::from(time) - spread + offset).unwrap_or(u64::MAX)
    }
}
