//! Failures that a plugin has to handle.

use std::fmt;

use crate::abi::Status;
use crate::phase::Phase;

/// A failed request to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Envoy does not allow it in this phase.
    NotIn(Phase),
    /// The host refused this call.
    Host {
        /// The call's name in the ABI, which is also the name of the capability.
        call: &'static str,
        /// The returned status.
        status: Status,
    },
    /// Envoy does not make this call to the plugin.
    NotCalled(&'static str),
    /// The host returned malformed data.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(phase) => write!(f, "not possible in the {phase:?} phase"),
            Self::Host { call, status } => write!(f, "{call}: {status:?}"),
            Self::NotCalled(call) => write!(f, "{call}: Envoy does not call it"),
            Self::Malformed => f.write_str("Envoy returned malformed data"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Adds the name of the call to the status that it returned.
    pub(crate) fn of(call: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Host { call, status }
    }
}

/// The point at which something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A callback of the plugin returned an [`Error`]: the plugin has decided nothing, or not everything.
    Undecided,
    /// Envoy refused a change, so the exchange is not as the plugin decided. The other changes were carried
    /// out.
    NotDone,
}
