//! Properties: Envoy's knowledge of a request beyond its headers.

/// A property of a request, its connection or its route.
///
/// The text is the path of an Envoy attribute, with NUL between its parts.
#[derive(Clone, Copy, Debug)]
pub struct Property(pub(crate) &'static str);

impl Property {
    /// The name of the route that Envoy has chosen. Envoy chooses again after request headers were written, but
    /// only later: until then this is the old route.
    pub const ROUTE_NAME: Self = Self("xds\0route_name");
    /// The TLS version of the downstream connection, absent on plain connections. Clients can forge
    /// `x-forwarded-proto`, but not this, so it is the right test for TLS.
    pub const TLS_VERSION: Self = Self("connection\0tls_version");
    /// The client's address with its port, as far as Envoy trusts it (`use_remote_address`,
    /// `xff_num_trusted_hops`).
    pub const REMOTE_ADDRESS: Self = Self("source\0address");

    /// The name of the cluster that the route leads to.
    pub const CLUSTER_NAME: Self = Self("xds\0cluster_name");

    /// The status of the response.
    pub const RESPONSE_CODE: Self = Self("response\0code");
    /// The flags of Envoy's access log (`%RESPONSE_FLAGS%`), as bits.
    pub const RESPONSE_FLAGS: Self = Self("response\0flags");
    /// The reason for the response, in Envoy's words; empty for the replies of some filters.
    pub const RESPONSE_CODE_DETAILS: Self = Self("response\0code_details");
    /// The status of a gRPC response, available when the stream has ended. For a request that is not gRPC, Envoy
    /// invents one.
    pub const GRPC_STATUS: Self = Self("response\0grpc_status");
    /// How often Envoy sent the request to an upstream; 0 when Envoy or a filter answered it.
    pub const ATTEMPT_COUNT: Self = Self("upstream\0request_attempt_count");

    /// The request's header `grpc-timeout`, available when the stream has ended.
    pub const GRPC_TIMEOUT: Self = Self("request\0headers\0grpc-timeout");
    /// `true` if Envoy considers the client internal (`internal_address_config`), available when the stream has
    /// ended.
    pub const IS_INTERNAL: Self = Self("request\0headers\0x-envoy-internal");
    /// The request's header `upgrade`, available when the stream has ended.
    pub const UPGRADE: Self = Self("request\0headers\0upgrade");
    /// The request's header `content-length`, available when the stream has ended.
    pub const CONTENT_LENGTH: Self = Self("request\0headers\0content-length");
    /// The request's header `transfer-encoding`, available when the stream has ended.
    pub const TRANSFER_ENCODING: Self = Self("request\0headers\0transfer-encoding");
    /// The number of internal redirects that led to the request; absent if there were none. Neither a client nor
    /// another proxy can set it.
    pub const INTERNAL_REDIRECTS: Self = Self("filter_state\0num_internal_redirects");
    /// [`RESPONSE_CODE_DETAILS`](Self::RESPONSE_CODE_DETAILS) of a response from the upstream.
    pub(crate) const VIA_UPSTREAM: &'static [u8] = b"via_upstream";
    /// The bits of [`RESPONSE_FLAGS`](Self::RESPONSE_FLAGS) for a client that has gone: DC and DR.
    pub(crate) const CLIENT_GONE: u64 = 0x4000 | 0x1000_0000;

    /// The value that an earlier filter of the same request stored in the filter state under this name.
    /// Dots in the name do not separate parts. No client can set it.
    pub const fn filter_state(name: &'static str) -> Self {
        Self(name)
    }
}
