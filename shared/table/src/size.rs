//! How large a table is.

/// How many keys fit into one block.
pub const SLOTS: usize = 16;

/// How many keys a block is meant to have on average, at most.
const LOAD: u32 = SLOTS as u32 / 2;

/// The most keys that a table can be planned for: half a million blocks, some 200 MB.
pub const MAX_KEYS: u32 = 1 << 22;

/// The number of blocks of a table for `max_keys` keys at a time, a power of two.
///
/// The [module](super) says how often such a table has no room.
pub fn blocks_for(max_keys: u32) -> u32 {
    if max_keys <= SLOTS as u32 {
        return 1;
    }
    max_keys.min(MAX_KEYS).div_ceil(LOAD).next_power_of_two()
}
