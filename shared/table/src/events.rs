//! What operations do to their table.

/// What an operation did to its table beside what was asked for, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableEvents {
    /// It took a slot that was never used before.
    pub occupied: bool,
    /// It evicted a key whose state had not expired.
    pub evicted: bool,
    /// It found a block that it could not read, and started it again.
    pub malformed: bool,
}
