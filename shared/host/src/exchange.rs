//! One request or response, as a plugin sees it.

use std::fmt;

use portcullis_policy::headers::{Change, HeaderMap};

use crate::abi::{self, Map, Status};
use crate::pairs;

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
    /// The host refused.
    Host(Status),
    /// The host handed over something that cannot be read.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(phase) => write!(f, "not possible in the {phase:?} phase"),
            Self::Host(status) => write!(f, "Envoy refused: {status:?}"),
            Self::Malformed => f.write_str("Envoy handed over something malformed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Host(status)
    }
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
    failures: Vec<(&'static str, Error)>,
}

impl Exchange {
    pub(crate) fn new(phase: Phase, is_request_complete: bool) -> Self {
        Self {
            phase,
            is_request_complete,
            headers: None,
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
    /// [`Property::filter_state`].
    pub fn set_filter_state(&self, name: &'static str, value: &[u8]) -> Result<(), Error> {
        Ok(abi::set_property(name.as_bytes(), value)?)
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
        match abi::property(property.0.as_bytes()) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    fn headers_in(&mut self, phase: Phase, map: Map) -> Result<&mut HeaderMap, Error> {
        if self.phase != phase {
            return Err(Error::NotIn(self.phase));
        }
        match &mut self.headers {
            Some(headers) => Ok(headers),
            none => {
                let entries = pairs::decode(abi::header_map(map)?).ok_or(Error::Malformed)?;
                Ok(none.insert(HeaderMap::new(entries)))
            }
        }
    }

    /// The value of a result, or the default in place of an error, which is noted for the log: for
    /// a plugin that can go on without the value.
    pub fn settle<T: Default>(&mut self, plugin: &'static str, result: Result<T, Error>) -> T {
        result.unwrap_or_else(|error| {
            self.failures.push((plugin, error));
            T::default()
        })
    }

    /// What went wrong, and in which plugin.
    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        &self.failures
    }

    /// Carries out what was changed, one call to the host for each change. To hand over the whole map
    /// in one call costs more the more headers there are, and is cheaper only where a dozen are added
    /// to a response that had a few (`make bench`).
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let Some(headers) = &self.headers else {
            return Ok(());
        };
        let map = match self.phase {
            Phase::Request => Map::RequestHeaders,
            Phase::Response => Map::ResponseHeaders,
            Phase::Trailers => Map::ResponseTrailers,
            Phase::RequestEnd | Phase::Log => return Ok(()),
        };
        for change in headers.changes() {
            match change {
                Change::Set(name, value) => abi::replace_header(map, name, value)?,
                Change::Append(name, value) => abi::add_header(map, name, value)?,
                Change::Remove(name) => abi::remove_header(map, name)?,
                // Envoy can replace a header by one line, but not by several.
                Change::SetLines(name, lines) => {
                    abi::remove_header(map, name)?;
                    for line in lines {
                        abi::add_header(map, name, line)?;
                    }
                }
            }
        }
        Ok(())
    }
}
