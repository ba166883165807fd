//! The calls of a stream.

use std::cell::RefCell;
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Duration;

use portcullis_core::headers::Received;
use portcullis_core::reply::Reply;
use portcullis_core::short_text::ShortText;
use portcullis_host::backend::{Map, StreamHost};
use portcullis_host::{Call, CallId, Error, Property, Status};
use smallvec::SmallVec;

use crate::abi::{
    self, Attribute, Buffer, EnvoyBuffer, EnvoyHeader, FilterPtr, Header, HeaderType,
};
use crate::calls::CALLOUT;
use crate::current;
use crate::panics::panic_on_request;
use crate::waiting::Waiting;

const HEADERS: &str = "http_get_headers";
const CHANGE: &str = "http_set_header";
const FILTER_STATE: &str = "http_set_filter_state_bytes";

/// One stream in Envoy.
///
/// Envoy destroys its filter only after the `destroy` callback, and the stream that owns this value is dropped there.
pub(crate) struct FilterHost {
    filter: FilterPtr,
    waiting: Rc<RefCell<Waiting>>,
}

impl FilterHost {
    /// # Safety
    /// The filter outlives this value, which stays in the filter's thread.
    pub(crate) unsafe fn new(filter: FilterPtr, waiting: Rc<RefCell<Waiting>>) -> Self {
        Self { filter, waiting }
    }

    fn attribute(&self, attribute: Attribute) -> Option<ShortText> {
        // SAFETY: the filter lives.
        self.text_of(|value| unsafe { abi::attribute_string(self.filter, attribute, value) })
    }

    /// A copy of what a call finds, unless that is empty.
    fn text_of(&self, find: impl FnOnce(*mut EnvoyBuffer) -> bool) -> Option<ShortText> {
        let mut value = EnvoyBuffer::EMPTY;
        if !find(&mut value) {
            return None;
        }
        // SAFETY: the call has just filled it.
        let bytes = unsafe { value.bytes() };
        (!bytes.is_empty()).then(|| bytes.into())
    }

    fn request_header(&self, name: &str) -> Option<ShortText> {
        self.text_of(|value| {
            let name = name.as_bytes().into();
            // SAFETY: the filter lives, and reads the name.
            unsafe { abi::header(self.filter, HeaderType::Request, name, value, 0, null_mut()) }
        })
    }
}

fn done(is_done: bool) -> Result<(), Error> {
    match is_done {
        true => Ok(()),
        false => Err(Error::of(CHANGE)(Status::BadArgument)),
    }
}

fn header_type(map: Map) -> HeaderType {
    match map {
        Map::Request => HeaderType::Request,
        Map::Response => HeaderType::Response,
        Map::ResponseTrailers => HeaderType::ResponseTrailers,
    }
}

/// The key of filter state. WebAssembly modules get it with this prefix, so access logs and other filters find the
/// values of either under one key.
fn with_state_key<T>(name: &str, act: impl FnOnce(Buffer) -> T) -> T {
    const PREFIX: &[u8] = b"wasm.";
    let mut short = [0; 64];
    let length = PREFIX.len() + name.len();
    let (start, end) = short.split_at_mut(PREFIX.len());
    match end.get_mut(..name.len()) {
        Some(end) => {
            start.copy_from_slice(PREFIX);
            end.copy_from_slice(name.as_bytes());
            act(short.get(..length).unwrap_or_default().into())
        }
        None => act([PREFIX, name.as_bytes()].concat().as_slice().into()),
    }
}

impl StreamHost for FilterHost {
    fn headers(&self, map: Map, into: &mut Received) -> Result<(), Error> {
        let map = header_type(map);
        // SAFETY: the filter lives.
        let count = unsafe { abi::headers_size(self.filter, map) };
        let mut found: SmallVec<[EnvoyHeader; 24]> = SmallVec::with_capacity(count);
        // SAFETY: the array has room for all headers.
        let is_found = unsafe { abi::headers(self.filter, map, found.as_mut_ptr()) };
        if !is_found {
            return Err(Error::of(HEADERS)(Status::BadArgument));
        }
        // SAFETY: Envoy has filled this number of elements.
        unsafe { found.set_len(count) };
        // A copy, because plugins keep some, and a change may free those of Envoy.
        // SAFETY: Envoy has just filled the array.
        let headers = found.iter().map(|header| unsafe { header.parts() });
        match into.copy(headers) {
            true => Ok(()),
            false => Err(Error::Malformed),
        }
    }

    fn set_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error> {
        // SAFETY: the filter lives, and copies name and value.
        done(unsafe { abi::set_header(self.filter, header_type(map), name.into(), value.into()) })
    }

    fn add_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error> {
        // SAFETY: as above.
        done(unsafe { abi::add_header(self.filter, header_type(map), name.into(), value.into()) })
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Error> {
        // SAFETY: as above.
        done(unsafe { abi::set_header(self.filter, header_type(map), name.into(), Buffer::NONE) })
    }

    fn headers_changed(&self, map: Map) {
        if map == Map::Request {
            // SAFETY: the filter lives. Envoy chooses the route by headers that may have changed.
            unsafe { abi::clear_route_cache(self.filter) }
        }
    }

    fn text(&self, property: Property) -> Result<Option<ShortText>, Error> {
        Ok(match property {
            Property::RouteName => self.attribute(Attribute::XdsRouteName),
            Property::TlsVersion => self.attribute(Attribute::ConnectionTlsVersion),
            Property::RemoteAddress => self.attribute(Attribute::SourceAddress),
            Property::ResponseCodeDetails => self.attribute(Attribute::ResponseCodeDetails),
            Property::ClusterName => self.text_of(|value| {
                // SAFETY: the filter lives.
                unsafe { abi::cluster_name(self.filter, value) }
            }),
            Property::RequestHeader(name) => self.request_header(name),
            Property::InternalRedirects => {
                let name = b"num_internal_redirects"[..].into();
                // SAFETY: the filter lives, and reads the name.
                self.text_of(|value| unsafe { abi::typed_filter_state(self.filter, name, value) })
            }
            Property::FilterState(name) => with_state_key(name, |key| {
                // SAFETY: the filter lives, and reads the key.
                self.text_of(|value| unsafe { abi::filter_state(self.filter, key, value) })
            }),
            Property::ResponseCode | Property::ResponseFlags | Property::AttemptCount => {
                return Err(Error::Malformed);
            }
        })
    }

    fn number(&self, property: Property) -> Result<Option<u64>, Error> {
        let attribute = match property {
            Property::ResponseCode => Attribute::ResponseCode,
            Property::ResponseFlags => Attribute::ResponseFlags,
            Property::AttemptCount => Attribute::UpstreamRequestAttemptCount,
            _ => return Err(Error::Malformed),
        };
        let mut value = 0;
        // SAFETY: the filter lives, and writes a number.
        let is_found = unsafe { abi::attribute_int(self.filter, attribute, &mut value) };
        Ok(is_found.then_some(value))
    }

    fn metadata(&self, namespace: &str, key: &str) -> Result<Option<f64>, Error> {
        let (namespace, key) = (namespace.as_bytes().into(), key.as_bytes().into());
        let mut value = 0.0;
        // SAFETY: the filter lives, reads both names, and writes a number.
        let is_found = unsafe {
            let source = abi::metadata::DYNAMIC;
            abi::metadata_number(self.filter, source, namespace, key, &mut value)
        };
        Ok(is_found.then_some(value))
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let is_set = with_state_key(name, |key| {
            // SAFETY: the filter lives, and copies key and value.
            unsafe { abi::set_filter_state(self.filter, key, value.into()) }
        });
        match is_set {
            true => Ok(()),
            false => Err(Error::of(FILTER_STATE)(Status::BadArgument)),
        }
    }

    fn reply(&self, reply: &Reply) -> Result<(), Error> {
        let mut headers: Vec<Header> = reply
            .headers
            .iter()
            .map(|(name, value)| Header::new(name, value))
            .collect();
        // Envoy derives the status of gRPC from that of HTTP, unless the headers have one.
        let grpc_status = reply.grpc_status.map(|status| status.to_string());
        if let Some(status) = &grpc_status
            && portcullis_host::backend::is_grpc(self)
        {
            headers.push(Header::new(b"grpc-status", status.as_bytes()));
        }
        let details = match reply.details.is_empty() {
            true => Buffer::NONE,
            false => reply.details[..].into(),
        };
        // SAFETY: the filter lives, and copies everything. Nothing of the stream is borrowed, since Envoy may end it.
        unsafe {
            abi::send_response(
                self.filter,
                reply.status.into(),
                headers.as_mut_ptr(),
                headers.len(),
                reply.body[..].into(),
                details,
            );
        }
        Ok(())
    }

    fn shows_own_replies(&self) -> bool {
        false
    }

    fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        let waiting = self.waiting.borrow();
        let called = current::with(|services, _| services.call_for(call, waiting.caller()));
        called.unwrap_or(Err(Error::of(CALLOUT)(Status::BadArgument)))
    }

    fn begin_wait(&self, _is_first: bool, tick: Duration) {
        // SAFETY: the filter lives until `end_wait`, and all of this worker's streams are in its thread.
        unsafe {
            let waiting = &mut self.waiting.borrow_mut();
            waiting.add(self.filter, tick);
        }
    }

    fn end_wait(&self) {
        // SAFETY: all of this worker's streams are in its thread.
        unsafe {
            let waiting = &mut self.waiting.borrow_mut();
            waiting.remove(self.filter);
        }
    }

    fn enter(&self) -> Result<(), Error> {
        panic_on_request(self.filter, "woken");
        Ok(())
    }

    fn resume(&self) -> Result<(), Error> {
        // SAFETY: the filter lives.
        unsafe { abi::continue_decoding(self.filter) }
        Ok(())
    }
}
