//! Phases of a stream.

/// The point in the stream at which Envoy calls the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Envoy has the request's headers and has not forwarded them yet.
    Request,
    /// Envoy has the last byte of the request and has not forwarded it yet. The plugin can change nothing.
    RequestEnd,
    /// Envoy has the response's headers and has not forwarded them yet.
    Response,
    /// Envoy has the response's trailers and has not forwarded them yet.
    Trailers,
    /// The stream has ended. The plugin can change nothing.
    Log,
}
