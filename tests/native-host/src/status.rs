//! Status codes of the ABI.

/// What a host call answers when it does not succeed. The numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Status {
    /// There is no such thing.
    NotFound = 1,
    /// An argument makes no sense, or not in this phase.
    BadArgument = 2,
    /// The value has no serialised form.
    SerializationFailure = 3,
    /// An argument could not be parsed.
    ParseFailure = 4,
    /// A queue is empty.
    Empty = 7,
    /// Somebody else changed the value in between.
    CasMismatch = 8,
    /// It went wrong for a reason of the host's own.
    InternalFailure = 10,
    /// The host does not do this.
    Unimplemented = 12,
}
