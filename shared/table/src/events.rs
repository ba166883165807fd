//! Events in a table, for metrics.

/// Side effects of an operation on its table, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableEvents {
    /// The operation took an unused slot.
    pub occupied: bool,
    /// The operation evicted a key whose state had not expired.
    pub evicted: bool,
    /// The operation found an unreadable block and replaced it by an empty one.
    pub malformed: bool,
}
