//! One request or response, as a plugin sees it.

use std::fmt;

use portcullis_core::headers::{Change, HeaderMap};

use crate::abi::{self, Map, Status};
use crate::header_codec;

/// What is going on in the stream that the plugin is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The request's headers have come and are not forwarded yet.
    Request,
    /// The last byte of the request has come and is not forwarded yet. Nothing can be changed.
    RequestEnd,
    /// The response's headers have come and are not forwarded yet.
    Response,
    /// The response's trailers have come and are not forwarded yet.
    Trailers,
    /// The stream has ended; nothing can be changed any more.
    Log,
}

/// Why the exchange could not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Envoy does not allow it in this phase.
    NotIn(Phase),
    /// The host refused this call.
    Host {
        /// The call's name in the ABI, which is also that of the capability.
        call: &'static str,
        /// What it returned.
        status: Status,
    },
    /// Envoy does not make this call to the plugin.
    NotCalled(&'static str),
    /// The host handed over something that cannot be read.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(phase) => write!(f, "not possible in the {phase:?} phase"),
            Self::Host { call, status } => write!(f, "{call}: {status:?}"),
            Self::NotCalled(call) => write!(f, "{call}: Envoy does not call it"),
            Self::Malformed => f.write_str("Envoy handed over something malformed"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Gives a status the name of the call that returned it.
    pub(crate) fn of(call: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Host { call, status }
    }
}

/// At which point a plugin could not do what it should have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A callback of the plugin ended with an [`Error`]: it has decided nothing, or not everything.
    Undecided,
    /// Envoy refused a change: the exchange has not become what the plugin decided. Other changes were
    /// carried out.
    NotDone,
}

/// A property that Envoy knows of a request, its connection or its route.
#[derive(Clone, Copy, Debug)]
pub struct Property(&'static str);

impl Property {
    /// The name of the route that Envoy has chosen. When request headers are written, Envoy chooses
    /// anew, but later: this is still the old one then.
    pub const ROUTE_NAME: Self = Self("xds\0route_name");
    /// The TLS version of the downstream connection, absent on plain connections. The test for TLS
    /// that no client can forge, unlike `x-forwarded-proto`.
    pub const TLS_VERSION: Self = Self("connection\0tls_version");
    /// The client's address with its port, as Envoy trusts it (`use_remote_address`,
    /// `xff_num_trusted_hops`).
    pub const REMOTE_ADDRESS: Self = Self("source\0address");

    /// The name of the cluster that the route leads to.
    pub const CLUSTER_NAME: Self = Self("xds\0cluster_name");

    /// The status of the response.
    pub const RESPONSE_CODE: Self = Self("response\0code");
    /// The flags of Envoy's access log (`%RESPONSE_FLAGS%`), as bits.
    pub const RESPONSE_FLAGS: Self = Self("response\0flags");
    /// Why the response is as it is, in Envoy's words; empty for the replies of some filters.
    pub const RESPONSE_CODE_DETAILS: Self = Self("response\0code_details");
    /// The status of a gRPC response, known when the stream has ended. Of anything else than a gRPC
    /// request Envoy makes one up.
    pub const GRPC_STATUS: Self = Self("response\0grpc_status");
    /// How often the request was sent to an upstream; 0 when Envoy or a filter has answered it.
    pub const ATTEMPT_COUNT: Self = Self("upstream\0request_attempt_count");

    /// The request's header `grpc-timeout`, known when the stream has ended.
    pub const GRPC_TIMEOUT: Self = Self("request\0headers\0grpc-timeout");
    /// `true` if Envoy takes the client for an internal one (`internal_address_config`), known when the stream
    /// has ended.
    pub const IS_INTERNAL: Self = Self("request\0headers\0x-envoy-internal");
    /// The request's header `upgrade`, known when the stream has ended.
    pub const UPGRADE: Self = Self("request\0headers\0upgrade");
    /// The request's header `content-length`, known when the stream has ended.
    pub const CONTENT_LENGTH: Self = Self("request\0headers\0content-length");
    /// The request's header `transfer-encoding`, known when the stream has ended.
    pub const TRANSFER_ENCODING: Self = Self("request\0headers\0transfer-encoding");
    /// How many internal redirects have led to the request; absent where none has. No client can write it, and
    /// no other proxy.
    pub const INTERNAL_REDIRECTS: Self = Self("filter_state\0num_internal_redirects");
    /// [`RESPONSE_CODE_DETAILS`](Self::RESPONSE_CODE_DETAILS) of a response of the upstream.
    pub(crate) const VIA_UPSTREAM: &'static [u8] = b"via_upstream";
    /// The bits of [`RESPONSE_FLAGS`](Self::RESPONSE_FLAGS) that say that the client has gone: DC and DR.
    pub(crate) const CLIENT_GONE: u64 = 0x4000 | 0x1000_0000;

    /// What an earlier filter of the same request has left in the filter state under this name
    /// (without dots counting as separators). No client can write it.
    pub const fn filter_state(name: &'static str) -> Self {
        Self(name)
    }
}

/// One request or response on its way through the plugin.
///
/// Headers are read from Envoy when first asked for, and once for all plugins of a module. Changes
/// to them are carried out when the plugin is done.
#[derive(Debug)]
pub struct Exchange {
    phase: Phase,
    is_request_complete: bool,
    headers: Option<HeaderMap>,
    filter_state: Vec<(&'static str, Vec<u8>)>,
    failures: Vec<(&'static str, Error)>,
}

impl Exchange {
    pub(crate) fn new(phase: Phase, is_request_complete: bool) -> Self {
        Self {
            phase,
            is_request_complete,
            headers: None,
            filter_state: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The phase in which the plugin is called.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the whole request has come, body and trailers too, as far as Envoy has said to this module: a
    /// module that does not list `request_body` and `request_trailers` among its callbacks knows it of requests
    /// without a body only.
    pub fn is_request_complete(&self) -> bool {
        self.is_request_complete
    }

    /// The headers of the request, in the request phase. Envoy does not show them later: keep
    /// what the response will need.
    pub fn request(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Request, Map::RequestHeaders)
    }

    /// The headers of the response, in the response phase.
    pub fn response(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Response, Map::ResponseHeaders)
    }

    /// The trailers of the response, in the trailers phase.
    pub fn trailers(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Trailers, Map::ResponseTrailers)
    }

    /// Leaves a value in the filter state of the request, where later filters find it with
    /// [`Property::filter_state`]. It is one of the changes that are carried out at the end.
    pub fn set_filter_state(&mut self, name: &'static str, value: Vec<u8>) {
        self.filter_state.push((name, value));
    }

    /// A property that is a whole number; `None` when it has no value.
    pub fn number(&self, property: Property) -> Result<Option<u64>, Error> {
        let Some(value) = self.property(property)? else {
            return Ok(None);
        };
        let bytes = value.try_into().map_err(|_| Error::Malformed)?;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// A property; `None` when it has no value.
    pub fn property(&self, property: Property) -> Result<Option<Vec<u8>>, Error> {
        // Another plugin of this module may have left it just now.
        let mut left = self.filter_state.iter();
        if let Some((_, value)) = left.rfind(|(name, _)| *name == property.0) {
            return Ok(Some(value.clone()));
        }
        match abi::property(property.0.as_bytes()) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(Error::of("proxy_get_property")(status)),
        }
    }

    fn headers_in(&mut self, phase: Phase, map: Map) -> Result<&mut HeaderMap, Error> {
        if self.phase != phase {
            return Err(Error::NotIn(self.phase));
        }
        match &mut self.headers {
            Some(headers) => Ok(headers),
            none => {
                let block = abi::header_map(map);
                let block = block.map_err(Error::of("proxy_get_header_map_pairs"))?;
                let entries = header_codec::decode(block).ok_or(Error::Malformed)?;
                Ok(none.insert(HeaderMap::new(entries)))
            }
        }
    }

    /// Notes an error for the log: for a plugin that can safely go on without the value.
    pub fn note(&mut self, plugin: &'static str, error: Error) {
        self.failures.push((plugin, error));
    }

    /// What went wrong, and in which plugin.
    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        &self.failures
    }

    /// Carries out what was changed, one call to the host for each change. To hand over the whole map
    /// in one call costs more the more headers there are, and is cheaper only where a dozen are added
    /// to a response that had a few (`make bench`).
    ///
    /// When Envoy refuses one, the others are carried out all the same, and the first error is returned.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let mut done = Ok(());
        for (name, value) in &self.filter_state {
            let set = abi::set_property(name.as_bytes(), value);
            done = done.and(set.map_err(Error::of("proxy_set_property")));
        }
        let Some(headers) = &self.headers else {
            return done;
        };
        let map = match self.phase {
            Phase::Request => Map::RequestHeaders,
            Phase::Response => Map::ResponseHeaders,
            Phase::Trailers => Map::ResponseTrailers,
            Phase::RequestEnd | Phase::Log => return done,
        };
        for change in headers.changes() {
            done = done.and(carry_out(map, change));
        }
        done
    }
}

fn carry_out(map: Map, change: &Change) -> Result<(), Error> {
    let remove = |name: &[u8]| {
        let removed = abi::remove_header(map, name);
        removed.map_err(Error::of("proxy_remove_header_map_value"))
    };
    let add = |name: &[u8], value: &[u8]| {
        let added = abi::add_header(map, name, value);
        added.map_err(Error::of("proxy_add_header_map_value"))
    };
    match change {
        Change::Set(name, value) => {
            let replaced = abi::replace_header(map, name, value);
            replaced.map_err(Error::of("proxy_replace_header_map_value"))
        }
        Change::Append(name, value) => add(name, value),
        Change::Remove(name) => remove(name),
        // Envoy can replace a header by one line, but not by several. The old lines are removed first:
        // a line too few is safer than one too many.
        Change::SetLines(name, lines) => {
            remove(name)?;
            lines.iter().try_for_each(|line| add(name, line))
        }
    }
}
