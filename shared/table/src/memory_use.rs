//! How much memory full tables take.

use std::fmt;
use std::iter::Sum;

use super::{Block, State};

/// What a proxy needs for each block beside its bytes: the key, and a node and a bucket of the map that
/// it is kept in. Measured with Envoy 1.40.
const BESIDE_A_BLOCK: u64 = 112;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The memory of one or more tables whose blocks all exist and are full, in bytes.
///
/// A table costs memory as keys come, so this is what a flood of keys can make of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryUse(u64);

impl MemoryUse {
    /// The most that all tables of one plugin instance may take: 4 GiB.
    ///
    /// `max_keys` holds for each rule, so many rules add up to more than anybody meant. Hardly any proxy
    /// has more memory than this for everything it does; a thousand limits of rate-limit's default size
    /// (2.9 GiB) stay below.
    pub const MAX: Self = Self(4 * GIB);

    /// The memory of a table with this number of blocks.
    pub const fn of_table<S: State>(blocks: u32) -> Self {
        Self(blocks as u64 * (Block::<S>::MAX_SIZE as u64 + BESIDE_A_BLOCK))
    }

    /// Checks the sum of some tables, the sizes of which follow from `max_keys`, against
    /// [`MAX`](Self::MAX).
    pub fn check(max_keys: u32, tables: impl Iterator<Item = Self>) -> Result<(), String> {
        let (mut count, mut sum) = (0_u32, Self::default());
        for table in tables.filter(|table| *table > Self::default()) {
            count += 1;
            sum = sum + table;
        }
        match sum <= Self::MAX {
            true => Ok(()),
            false => Err(format!(
                "found {max_keys} for each of {count} tables, which take up to {sum} of memory; \
                 expected at most {} for all of them: lower max_keys, or have fewer rules with a key",
                Self::MAX
            )),
        }
    }
}

impl std::ops::Add for MemoryUse {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for MemoryUse {
    fn sum<I: Iterator<Item = Self>>(tables: I) -> Self {
        tables.fold(Self::default(), |sum, table| sum + table)
    }
}

/// Rounded up: `1 MiB`, `884 MiB`, `8.7 GiB`.
impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 <= GIB {
            true => write!(f, "{} MiB", self.0.div_ceil(MIB)),
            false => {
                let tenths = (self.0 * 10).div_ceil(GIB);
                match tenths % 10 {
                    0 => write!(f, "{} GiB", tenths / 10),
                    tenth => write!(f, "{}.{tenth} GiB", tenths / 10),
                }
            }
        }
    }
}
