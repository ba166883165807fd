//! Properties: what `proxy_get_property` finds, and in which phase.

use std::collections::BTreeMap;

use crate::grpc;
use crate::headers::Headers;
use crate::message::Protocol;
use crate::state::{StreamInfo, StreamState};
use crate::status::Status;

/// Properties that a test sets, by their dotted path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties(BTreeMap<String, Vec<u8>>);

impl Properties {
    /// Adds all of the others, which take precedence.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn insert(&mut self, path: &str, value: impl Into<PropertyValue>) {
        self.0.insert(path.to_owned(), value.into().0);
    }
}

/// The bytes of a property, in Envoy's encoding: text as it is, numbers (those of metadata are
/// `f64`) in eight little-endian bytes, booleans in one.
#[derive(Clone, Debug)]
pub struct PropertyValue(Vec<u8>);

macro_rules! property_value {
    ($($type:ty: $value:ident => $bytes:expr),* $(,)?) => {$(
        impl From<$type> for PropertyValue {
            fn from($value: $type) -> Self {
                Self($bytes)
            }
        }
    )*};
}

property_value! {
    &str: value => value.as_bytes().to_vec(),
    &[u8]: value => value.to_vec(),
    Vec<u8>: value => value,
    i64: value => value.to_le_bytes().to_vec(),
    u64: value => value.to_le_bytes().to_vec(),
    f64: value => value.to_le_bytes().to_vec(),
    bool: value => vec![u8::from(value)],
}

/// Who asks, and about what.
pub(crate) struct Scope<'a> {
    pub(crate) plugin_name: &'a str,
    pub(crate) root_id: &'a str,
    pub(crate) vm_id: &'a str,
    /// Set for the whole host by the test.
    pub(crate) defaults: &'a Properties,
    /// The stream, and what its filter may see of the headers; a root context has none.
    pub(crate) stream: Option<(&'a StreamState, Visible)>,
}

/// Which header maps the asking filter sees. Envoy's properties follow the maps: `request.path` is
/// unknown to a filter that has let the request headers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visible {
    pub(crate) request_headers: bool,
    pub(crate) response_headers: bool,
    pub(crate) response_trailers: bool,
}

impl Visible {
    pub(crate) const ALL: Self = Self {
        request_headers: true,
        response_headers: true,
        response_trailers: true,
    };
}

impl Scope<'_> {
    /// Finds a property by its path, whose parts a zero byte separates.
    pub(crate) fn get(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
        if parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let text: Vec<_> = parts
            .iter()
            .map(|part| String::from_utf8_lossy(part))
            .collect();
        let dotted = text.join(".");
        let set = self
            .stream
            .and_then(|(stream, _)| stream.info.properties.0.get(&dotted))
            .or_else(|| self.defaults.0.get(&dotted));
        if let Some(value) = set {
            return Ok(value.clone());
        }
        let names: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
        match (names.as_slice(), self.stream) {
            (["plugin_name"], _) => Ok(self.plugin_name.into()),
            (["plugin_root_id"], _) => Ok(self.root_id.into()),
            (["plugin_vm_id"], _) => Ok(self.vm_id.into()),
            (["xds", "node", "id"], _) => Ok(b"native-host".to_vec()),
            (names, Some((stream, visible))) => {
                stream_property(names, stream, visible).unwrap_or(Err(Status::NotFound))
            }
            (_, None) => Err(Status::NotFound),
        }
    }
}

type Found = Option<Result<Vec<u8>, Status>>;

fn number(value: impl TryInto<i64>) -> Vec<u8> {
    value.try_into().unwrap_or(i64::MAX).to_le_bytes().to_vec()
}

fn stream_property(names: &[&str], stream: &StreamState, visible: Visible) -> Found {
    let info = &stream.info;
    let value = match names {
        ["request", rest @ ..] => {
            let headers = visible.request_headers.then_some(&stream.request_headers);
            return request(rest, headers, info);
        }
        ["response", rest @ ..] => return response(rest, stream, visible),
        ["connection", "id"] | ["connection_id"] => info.connection_id.to_le_bytes().to_vec(),
        ["connection", "mtls"] => vec![0],
        ["connection", "requested_server_name"] => Vec::new(),
        ["source", "address"] => b"127.0.0.1:40000".to_vec(),
        ["source", "port"] => number(40000),
        ["destination", "address"] => b"127.0.0.1:8080".to_vec(),
        ["destination", "port"] => number(8080),
        ["upstream", rest @ ..] => upstream(rest, info)?,
        ["xds", rest @ ..] => xds(rest, info)?,
        ["filter_state", name] => {
            let name = name.strip_prefix("wasm.")?;
            info.filter_state.get(name.as_bytes())?.clone()
        }
        [name] => info.filter_state.get(name.as_bytes())?.clone(),
        _ => return None,
    };
    Some(Ok(value))
}

fn header_map(headers: Option<&Headers>, rest: &[&str]) -> Found {
    match (headers, rest) {
        (Some(headers), [name]) => headers.joined(name).map(Ok),
        (Some(headers), []) => Some(Ok(headers.to_pairs())),
        _ => None,
    }
}

fn request(names: &[&str], headers: Option<&Headers>, info: &StreamInfo) -> Found {
    let header = |name: &str| headers?.joined(name);
    let path = || header(":path");
    let value = match names {
        [] => return Some(Err(Status::SerializationFailure)),
        ["headers", rest @ ..] => return header_map(headers, rest),
        ["path"] => path()?,
        ["url_path"] => {
            let path = path()?;
            path.split(|byte| *byte == b'?').next()?.to_vec()
        }
        ["query"] => {
            let path = path()?;
            let mut parts = path.splitn(2, |byte| *byte == b'?');
            parts.nth(1).unwrap_or_default().to_vec()
        }
        ["host"] => header(":authority")?,
        ["scheme"] => header(":scheme")?,
        ["method"] => header(":method")?,
        ["referer"] => header("referer")?,
        ["useragent"] => header("user-agent")?,
        ["id"] => header("x-request-id")?,
        ["protocol"] => match info.protocol {
            Protocol::Http1 => b"HTTP/1.1".to_vec(),
            Protocol::Http2 => b"HTTP/2".to_vec(),
        },
        ["time"] => number(info.started_wall.as_nanos()),
        ["duration"] => number(info.duration?.as_nanos()),
        ["size"] => {
            let declared = headers.and_then(|headers| headers.get("content-length"));
            number(declared.map_or(Some(info.bytes_received), |text| text.parse().ok())?)
        }
        ["total_size"] => number(info.bytes_received + headers.map_or(0, Headers::byte_size)),
        _ => return None,
    };
    Some(Ok(value))
}

fn response(names: &[&str], stream: &StreamState, visible: Visible) -> Found {
    let info = &stream.info;
    let headers = stream.response_headers.as_ref();
    let headers = headers.filter(|_| visible.response_headers);
    let trailers = stream.response_trailers.as_ref();
    let trailers = trailers.filter(|_| visible.response_trailers);
    let value = match names {
        [] => return Some(Err(Status::SerializationFailure)),
        ["headers", rest @ ..] => return header_map(headers, rest),
        ["trailers", rest @ ..] => return header_map(trailers, rest),
        ["code"] => number(info.response_code?),
        ["code_details"] => info.code_details.clone()?,
        ["flags"] => number(info.flags.bits()),
        ["backend_latency"] => number(info.backend_latency?.as_nanos()),
        ["grpc_status"] => number(grpc::status(trailers, headers, info.response_code)?),
        ["size"] => number(info.bytes_sent),
        ["total_size"] => number(
            info.bytes_sent
                + headers.map_or(0, Headers::byte_size)
                + trailers.map_or(0, Headers::byte_size),
        ),
        _ => return None,
    };
    Some(Ok(value))
}

fn upstream(names: &[&str], info: &StreamInfo) -> Option<Vec<u8>> {
    match names {
        ["request_attempt_count"] => Some(number(info.attempts)),
        ["address"] if info.upstream_chosen => Some(b"127.0.0.1:9000".to_vec()),
        ["port"] if info.upstream_chosen => Some(number(9000)),
        ["local_address"] if info.upstream_chosen => Some(b"127.0.0.1:41000".to_vec()),
        ["transport_failure_reason"] if info.upstream_chosen => Some(Vec::new()),
        _ => None,
    }
}

fn xds(names: &[&str], info: &StreamInfo) -> Option<Vec<u8>> {
    let route = info.route.as_ref();
    match names {
        ["route_name"] => Some(route?.name.clone().into_bytes()),
        ["cluster_name"] => info.cluster.clone().map(String::into_bytes),
        ["virtual_host_name"] => route.map(|_| b"default".to_vec()),
        ["route_metadata" | "cluster_metadata"] => route.map(|_| Vec::new()),
        ["filter_chain_name"] => Some(Vec::new()),
        ["listener_direction"] => Some(number(0)),
        _ => None,
    }
}
