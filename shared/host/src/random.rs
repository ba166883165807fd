//! Random numbers.

use std::cell::Cell;

use crate::backend::backend;
use crate::error::Error;

/// Unpredictable bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    backend().random(&mut bytes)?;
    Ok(bytes)
}

/// Numbers that spread clients out, but are no secret: anyone who sees some of them knows the others. They cost no call of
/// Envoy. Each worker has a generator of its own.
///
/// This is SplitMix64: a counter whose steps are a large odd number, mixed.
#[derive(Debug)]
pub struct PredictableNumbers(Cell<u64>);

impl PredictableNumbers {
    /// A generator that begins at random. If Envoy provides no random bytes, all begin at one number.
    pub fn seeded() -> Self {
        Self(Cell::new(random().map_or(0, u64::from_le_bytes)))
    }

    /// The next number, evenly distributed.
    pub fn next(&self) -> u64 {
        let count = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(count);
        let bits = (count ^ (count >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let numbers = PredictableNumbers(Cell::new(1_234_567));
        assert_eq!(numbers.next(), 6_457_827_717_110_365_317);
        assert_eq!(numbers.next(), 3_203_168_211_198_807_973);
        assert_eq!(numbers.next(), 9_817_491_932_198_370_423);
    }
}
