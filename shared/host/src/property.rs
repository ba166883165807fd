//! Properties: Envoy's knowledge of a request beyond its headers.

/// A property of a request, its connection or its route. Envoy's documentation calls them attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The name of the route that Envoy has chosen. Envoy chooses again after request headers were written, but
    /// only later: until then this is the old route.
    RouteName,
    /// The name of the cluster that the route leads to.
    ClusterName,
    /// The TLS version of the downstream connection, absent on plain connections. Clients can forge
    /// `x-forwarded-proto`, but not this, so it is the right test for TLS.
    TlsVersion,
    /// The client's address with its port, as far as Envoy trusts it (`use_remote_address`,
    /// `xff_num_trusted_hops`).
    RemoteAddress,

    /// The status of the response. A number.
    ResponseCode,
    /// The flags of Envoy's access log (`%RESPONSE_FLAGS%`), as bits. A number.
    ResponseFlags,
    /// The reason for the response, in Envoy's words; empty for the replies of some filters.
    ResponseCodeDetails,
    /// How often Envoy sent the request to an upstream; 0 when Envoy or a filter answered it. A number.
    AttemptCount,

    /// A header of the request, also available when the stream has ended.
    RequestHeader(&'static str),
    /// The number of internal redirects that led to the request; absent if there were none. Neither a client nor
    /// another proxy can set it. Text.
    InternalRedirects,
    /// The value that an earlier filter of the same request stored in the filter state under this name.
    /// No client can set it.
    FilterState(&'static str),
}

impl Property {
    /// The request's header `grpc-timeout`.
    pub const GRPC_TIMEOUT: Self = Self::RequestHeader("grpc-timeout");
    /// `true` if Envoy considers the client internal (`internal_address_config`).
    pub const IS_INTERNAL: Self = Self::RequestHeader("x-envoy-internal");
    /// The request's header `upgrade`.
    pub const UPGRADE: Self = Self::RequestHeader("upgrade");
    /// The request's header `content-length`.
    pub const CONTENT_LENGTH: Self = Self::RequestHeader("content-length");
    /// The request's header `transfer-encoding`.
    pub const TRANSFER_ENCODING: Self = Self::RequestHeader("transfer-encoding");

    /// [`ResponseCodeDetails`](Self::ResponseCodeDetails) of a response from the upstream.
    pub(crate) const VIA_UPSTREAM: &'static [u8] = b"via_upstream";
    /// The bits of [`ResponseFlags`](Self::ResponseFlags) for a client that has gone: DC and DR.
    pub(crate) const CLIENT_GONE: u64 = 0x4000 | 0x1000_0000;
}
