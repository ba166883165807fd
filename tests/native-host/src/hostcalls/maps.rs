//! Header maps, and in which phase each can be read and written.

use super::Guest;
use crate::headers::Headers;
use crate::state::StreamState;
use crate::status::Status;
use crate::sync::lock;
use crate::vm::RootContext;

/// The maps of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    GrpcMetadata,
    GrpcTrailers,
    CallHeaders,
    CallTrailers,
}

impl Map {
    fn of(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 => Self::GrpcMetadata,
            5 => Self::GrpcTrailers,
            6 => Self::CallHeaders,
            7 => Self::CallTrailers,
            _ => return Err(Status::BadArgument),
        })
    }

    /// Envoy finds `:authority` under `host` too.
    fn field(self, name: &str) -> &str {
        match self {
            Self::RequestHeaders if name.eq_ignore_ascii_case("host") => ":authority",
            _ => name,
        }
    }

    /// Whether it is part of a call's answer, which the root context has.
    fn is_of_a_call(self) -> bool {
        matches!(
            self,
            Self::CallHeaders | Self::CallTrailers | Self::GrpcMetadata | Self::GrpcTrailers
        )
    }

    fn of_a_call(self, root: &RootContext) -> Option<&Headers> {
        let response = root.call_response.as_ref();
        match self {
            Self::CallHeaders => response.map(|response| &response.headers),
            Self::CallTrailers => response.map(|response| &response.trailers),
            Self::GrpcMetadata => root.grpc_metadata.as_ref(),
            _ => root.grpc_trailers.as_ref(),
        }
    }

    /// The map as the filter may change it.
    fn writable(self, state: &mut StreamState, filter: usize) -> Option<&mut Headers> {
        let view = &state.views[filter];
        match self {
            Self::RequestHeaders if view.request.headers => Some(&mut state.request_headers),
            Self::RequestTrailers if view.request.trailers => Some(&mut state.request_trailers),
            Self::ResponseHeaders if view.response.headers => state.response_headers.as_mut(),
            Self::ResponseTrailers if view.response.trailers => state.response_trailers.as_mut(),
            _ => None,
        }
    }

    /// The map as the filter may read it; in on_log more than it may change.
    fn readable(self, state: &mut StreamState, filter: usize) -> Option<&Headers> {
        if !state.views[filter].logging {
            return self.writable(state, filter).map(|headers| &*headers);
        }
        match self {
            Self::RequestHeaders => Some(&state.request_headers),
            Self::ResponseHeaders => state.response_headers.as_ref(),
            Self::ResponseTrailers => state.response_trailers.as_ref(),
            _ => None,
        }
    }
}

impl Guest<'_> {
    /// Runs `read` on a map if there is one to be read now; says too whether this is on_log.
    fn read<R>(&self, map: Map, read: impl FnOnce(Option<&Headers>, bool) -> R) -> R {
        if map.is_of_a_call() {
            let root = self.vm.root().map(|(_, root)| root);
            return read(root.and_then(|root| map.of_a_call(root)), false);
        }
        let Some(stream) = self.vm.stream() else {
            return read(None, false);
        };
        let mut state = lock(&stream.state);
        let logging = state.views[stream.at.filter].logging;
        read(map.readable(&mut state, stream.at.filter), logging)
    }

    /// Runs `write` on a map. Writing request headers makes Envoy look up the route again.
    fn write(&mut self, map: u32, write: impl FnOnce(Map, &mut Headers)) -> Result<(), Status> {
        let map = Map::of(map)?;
        let stream = self.vm.stream().ok_or(Status::BadArgument)?;
        let mut state = lock(&stream.state);
        let headers = map.writable(&mut state, stream.at.filter);
        write(map, headers.ok_or(Status::BadArgument)?);
        state.info.route_stale |= map == Map::RequestHeaders;
        Ok(())
    }

    /// All pairs of a map: none, without an error, if the map is not there in this phase.
    pub(crate) fn header_pairs(&self, map: u32) -> Result<Vec<u8>, Status> {
        let map = Map::of(map)?;
        Ok(self.read(map, |headers, _| {
            headers.map(Headers::to_pairs).unwrap_or_default()
        }))
    }

    /// The first value of a name.
    pub(crate) fn header(&self, map: u32, name: &[u8]) -> Result<Vec<u8>, Status> {
        let map = Map::of(map)?;
        let name = String::from_utf8_lossy(name);
        self.read(map, |headers, logging| match headers {
            Some(headers) => {
                let value = headers.get_bytes(map.field(&name));
                value.map(<[u8]>::to_vec).ok_or(Status::NotFound)
            }
            None if logging => Err(Status::NotFound),
            None => Err(Status::BadArgument),
        })
    }

    pub(crate) fn set_header_pairs(&mut self, map: u32, pairs: &[u8]) -> Result<(), Status> {
        let pairs = Headers::from_pairs(pairs);
        self.write(map, |_, headers| *headers = pairs)
    }

    pub(crate) fn add_header(&mut self, map: u32, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let name = String::from_utf8_lossy(name);
        self.write(map, |map, headers| headers.add(map.field(&name), value))
    }

    pub(crate) fn set_header(&mut self, map: u32, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let name = String::from_utf8_lossy(name);
        self.write(map, |map, headers| headers.set(map.field(&name), value))
    }

    pub(crate) fn remove_header(&mut self, map: u32, name: &[u8]) -> Result<(), Status> {
        let name = String::from_utf8_lossy(name);
        self.write(map, |map, headers| headers.remove(map.field(&name)))
    }
}
