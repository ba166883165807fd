//! The result of a call to Envoy.

/// The status of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The key, property or header does not exist.
    NotFound,
    /// The host rejected an argument, or the call is not possible in this phase.
    BadArgument,
    /// Another worker changed the value in the meantime.
    CasMismatch,
    /// The host refuses for a reason of its own. Envoy also returns it for a call that
    /// `capability_restriction_config` does not allow.
    InternalFailure,
    /// The host does not have this call.
    Unimplemented,
    /// A WASI call that `capability_restriction_config` does not allow (`ENOTCAPABLE`).
    NotCapable,
    /// Another code of the ABI.
    Other(u32),
}
