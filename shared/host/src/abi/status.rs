//! The result of a host call.

/// The status of a host call that failed.
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

/// From the ABI's code of a call that failed.
impl From<u32> for Status {
    fn from(code: u32) -> Self {
        match code {
            1 => Self::NotFound,
            2 => Self::BadArgument,
            8 => Self::CasMismatch,
            10 => Self::InternalFailure,
            12 => Self::Unimplemented,
            code => Self::Other(code),
        }
    }
}

impl Status {
    pub(super) fn check(code: u32) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            code => Err(code.into()),
        }
    }

    /// The same for a WASI call, which has its own error numbers.
    pub(super) fn check_wasi(errno: u16) -> Result<(), Self> {
        const ENOTCAPABLE: u16 = 76;
        match errno {
            0 => Ok(()),
            ENOTCAPABLE => Err(Self::NotCapable),
            errno => Err(Self::Other(errno.into())),
        }
    }
}
