//! Failures that a plugin has to handle.

use std::fmt;

use crate::phase::Phase;
use crate::status::Status;

/// A failed request to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Envoy does not allow it in this phase.
    NotIn(Phase),
    /// Envoy, or the back end, refused this call.
    Host {
        /// The call's name in the ABI. With WebAssembly it is also the name of the capability.
        call: &'static str,
        /// The returned status.
        status: Status,
    },
    /// Envoy does not make this call to the plugin.
    NotCalled(Callback),
    /// The host returned malformed data.
    Malformed,
    /// The plugin panicked. Only a host that survives it reports it.
    Panicked,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(phase) => write!(f, "not possible in the {phase:?} phase"),
            Self::Host { call, status } => write!(f, "{call}: {status:?}"),
            Self::NotCalled(callback) => write!(f, "{callback}: Envoy does not call it"),
            Self::Malformed => f.write_str("Envoy returned malformed data"),
            Self::Panicked => f.write_str("the plugin panicked"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Adds the name of the call to the status that it returned.
    pub fn of(call: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Host { call, status }
    }
}

/// A callback that a plugin may depend on. WebAssembly modules get it only if `capability_restriction_config` allows
/// it, under its name in the ABI, which is the text of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// The response's headers have arrived.
    ResponseHeaders,
    /// The stream has ended.
    Log,
    /// Time has passed.
    Tick,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResponseHeaders => "proxy_on_response_headers",
            Self::Log => "proxy_on_log",
            Self::Tick => "proxy_on_tick",
        })
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
