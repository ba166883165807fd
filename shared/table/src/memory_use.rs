//! The memory that full tables occupy.

use std::fmt;
use std::iter::Sum;

use super::{Block, State};

/// The overhead of each block in a proxy, in bytes: the key, and a node and a bucket of the map that contains it.
/// Measured with Envoy 1.40.
const BESIDE_A_BLOCK: u64 = 112;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The memory of one or more tables whose blocks all exist and are full, in bytes.
///
/// A table uses memory only as keys arrive, so this is the maximum that a flood of keys can cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryUse(u64);

impl MemoryUse {
    /// The limit for all tables of one plugin instance together: 4 GiB.
    ///
    /// `max_keys` applies to each rule, so many rules can add up to far more than intended. Few proxies have more
    /// memory than this in total; a thousand limits of rate-limit's default size (2.9 GiB) stay below.
    pub const MAX: Self = Self(4 * GIB);

    /// The memory of a table with this number of blocks.
    pub const fn of_table<S: State>(blocks: u32) -> Self {
        Self(blocks as u64 * (Block::<S>::MAX_SIZE as u64 + BESIDE_A_BLOCK))
    }

    /// Checks the sum of the tables against [`MAX`](Self::MAX). `max_keys` is the setting that determines their
    /// sizes.
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
