//! The size of a table.

/// The number of keys that fit into one block.
pub const SLOTS: usize = 16;

/// The highest average number of keys per block.
const LOAD: u32 = SLOTS as u32 / 2;

/// The highest number of keys of a table: half a million blocks, about 200 MB.
pub const MAX_KEYS: u32 = 1 << 22;

/// The number of blocks of a table for `max_keys` keys at a time, a power of two.
///
/// The [crate](super) documents how often such a table has no room for a key.
pub fn blocks_for(max_keys: u32) -> u32 {
    if max_keys <= SLOTS as u32 {
        return 1;
    }
    max_keys.min(MAX_KEYS).div_ceil(LOAD).next_power_of_two()
}
