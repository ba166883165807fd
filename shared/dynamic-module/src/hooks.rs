//! The functions that Envoy calls, for [`library!`](crate::library).
//!
//! Each catches panics. A filter that panics while it decides about a message gets a second chance to decide, as after
//! any other error; if that panics too, the message is answered with 503.
#![allow(
    clippy::missing_safety_doc,
    reason = "each function is called by Envoy, with the arguments of its ABI"
)]

use std::ffi::{c_char, c_void};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_core::headers::HeaderMap;
use portcullis_host::{CallResponse, Next, Phase};

use crate::abi::{self, Buffer, status};
pub use crate::abi::{ConfigPtr, EnvoyBuffer, EnvoyHeader, FilterPtr};
use crate::filter::{self, AnyFilter};
use crate::filter_config::{FilterConfig, NewConfig};
use crate::logger;
use crate::route_config::{AcceptedRouteConfig, NewRouteConfig, RouteConfig};
use crate::ticker::CALLS;

/// A configuration, as Envoy keeps it.
type Config = Box<dyn FilterConfig>;
/// A filter, which Envoy keeps by its [handle](filter::Handle).
type Stream = Rc<dyn AnyFilter>;

/// The library has been loaded, in the main thread.
pub fn program_init() -> *const c_char {
    caught(|| {
        logger::init();
        stay_loaded();
    });
    abi::VERSION.as_ptr()
}

/// Prevents that Envoy unloads the library when the last filter is gone: its thread and the state of its tables stay.
fn stay_loaded() {
    // SAFETY: a `Dl_info` of zeros is valid, and `dladdr` fills it.
    let name = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let here = program_init as *const c_void;
        match libc::dladdr(here, &mut info) {
            0 => return,
            _ => info.dli_fname,
        }
    };
    // SAFETY: `name` is a path that ends with NUL. The handle is kept by never closing it.
    let handle = unsafe {
        libc::dlopen(
            name,
            libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
        )
    };
    if handle.is_null() {
        log::warn!(
            "portcullis: the library cannot be kept loaded; a removed filter may lose state"
        );
    }
}

/// Creates the configuration of a filter; null if it is refused. `create` knows the chains by name.
pub unsafe fn config_new(
    config: ConfigPtr,
    name: EnvoyBuffer,
    text: EnvoyBuffer,
    create: fn(&str, NewConfig<'_>) -> Option<Option<Config>>,
) -> *const c_void {
    // SAFETY: Envoy's buffers are valid during this call.
    let (name, text) = unsafe { (name.bytes(), text.bytes()) };
    let created = caught(|| {
        let name = String::from_utf8_lossy(name);
        // SAFETY: Envoy destroys our configuration with its own.
        let new = unsafe { NewConfig::new(config, text) };
        let created = create(&name, new);
        if created.is_none() {
            unknown("filter_name", &name);
        }
        created.flatten()
    });
    match created.flatten() {
        Some(config) => Box::into_raw(Box::new(config)).cast(),
        None => null(),
    }
}

/// Destroys a configuration.
pub unsafe fn config_destroy(config: *const c_void) {
    if config.is_null() {
        return;
    }
    // SAFETY: it comes from `config_new`, and Envoy does not use it any more.
    let config = unsafe { Box::from_raw(config.cast_mut().cast::<Config>()) };
    caught(|| drop(config));
}

/// Creates the configuration of a route; null if it is refused.
pub unsafe fn route_config_new(
    name: EnvoyBuffer,
    text: EnvoyBuffer,
    create: fn(&str, NewRouteConfig<'_>) -> Option<Option<AcceptedRouteConfig>>,
) -> *const c_void {
    // SAFETY: Envoy's buffers are valid during this call.
    let (name, text) = unsafe { (name.bytes(), text.bytes()) };
    let created = caught(|| {
        let name = String::from_utf8_lossy(name);
        let created = create(&name, NewRouteConfig(text));
        if created.is_none() {
            unknown("filter_name", &name);
        }
        created.flatten()
    });
    match created.flatten() {
        Some(AcceptedRouteConfig(route)) => Arc::into_raw(route).cast(),
        None => null(),
    }
}

/// Destroys the configuration of a route.
pub unsafe fn route_config_destroy(route: *const c_void) {
    if !route.is_null() {
        // SAFETY: it comes from `route_config_new`, and Envoy does not use it any more.
        drop(unsafe { Arc::from_raw(route.cast::<RouteConfig>()) });
    }
}

/// The configuration of a route.
///
/// # Safety
/// The pointer is null, or comes from [`route_config_new`] and is not yet destroyed.
pub(crate) unsafe fn route_config(route: *const c_void) -> Option<Arc<RouteConfig>> {
    if route.is_null() {
        return None;
    }
    let route = route.cast::<RouteConfig>();
    // SAFETY: as above; the count grows for the result.
    unsafe {
        Arc::increment_strong_count(route);
        Some(Arc::from_raw(route))
    }
}

fn unknown(field: &str, name: &str) {
    log::error!(
        "portcullis: {field}: found {name:?}; expected the name of a plugin in snake case, or portcullis"
    );
}

/// A tick of a configuration, or calls for it to make.
pub unsafe fn config_scheduled(config: *const c_void, event: u64) {
    // SAFETY: it comes from `config_new`.
    let config = unsafe { &*config.cast::<Config>() };
    caught(|| match event {
        CALLS => config.make_calls(),
        _ => config.tick(),
    });
}

/// The response to a call of a configuration.
pub unsafe fn config_callout_done(
    config: *const c_void,
    call: u64,
    headers: *const EnvoyHeader,
    header_count: usize,
    chunks: *const EnvoyBuffer,
    chunk_count: usize,
) {
    // SAFETY: it comes from `config_new`.
    let config = unsafe { &*config.cast::<Config>() };
    caught(|| {
        // SAFETY: Envoy passes arrays of this length, which are valid during this call, or null.
        let (headers, chunks) =
            unsafe { (array(headers, header_count), array(chunks, chunk_count)) };
        let entries = headers.iter().map(|header| {
            // SAFETY: as above.
            let (name, value) = unsafe { header.parts() };
            (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value))
        });
        let entries: Vec<_> = entries.collect();
        let limit = config.max_call_body().saturating_add(1);
        let mut body = Vec::new();
        for chunk in chunks {
            // SAFETY: as above.
            let bytes = unsafe { chunk.bytes() };
            let room = limit - body.len();
            body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        let response = CallResponse {
            headers: (!entries.is_empty()).then(|| HeaderMap::new(entries)),
            body,
            ..CallResponse::default()
        };
        config.call_response(call, response);
    });
}

/// An array of Envoy's.
///
/// # Safety
/// The pointer is null, or points to this many values that outlive the result.
unsafe fn array<'a, T>(ptr: *const T, count: usize) -> &'a [T] {
    if ptr.is_null() {
        return &[];
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(ptr, count) }
}

/// Creates the filter of a stream.
pub unsafe fn filter_new(config: *const c_void, filter: FilterPtr) -> *const c_void {
    // SAFETY: it comes from `config_new`.
    let config = unsafe { &*config.cast::<Config>() };
    // SAFETY: Envoy destroys our filter before its own, and both before the configuration.
    let created = caught(|| unsafe { config.filter(filter) });
    match created.flatten() {
        Some(stream) => filter::into_raw(stream),
        None => null(),
    }
}

/// Destroys the filter of a stream.
pub unsafe fn filter_destroy(filter: *const c_void) {
    // SAFETY: it is null or comes from `filter_new`, and Envoy does not use it any more.
    if let Some(stream) = unsafe { filter::from_raw(filter) } {
        caught(|| stream.destroyed());
    }
}

/// A stream for the time of a callback, during which Envoy may destroy its filter. The last one that keeps the stream ends
/// it.
struct Kept(ManuallyDrop<Stream>);

impl Kept {
    fn new(stream: Stream) -> Self {
        Self(ManuallyDrop::new(stream))
    }
}

impl Deref for Kept {
    type Target = dyn AnyFilter;

    fn deref(&self) -> &Self::Target {
        &**self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: nobody uses the value afterwards.
        let stream = unsafe { ManuallyDrop::take(&mut self.0) };
        if Rc::strong_count(&stream) == 1 {
            caught(|| stream.end());
        }
    }
}

/// The stream of a filter; `None` if it could not be created, of which Envoy takes no notice.
///
/// # Safety
/// The pointer is null, or comes from [`filter_new`], and the filter is not yet destroyed.
unsafe fn stream(filter: *const c_void) -> Option<Kept> {
    // SAFETY: as above.
    unsafe { filter::borrow_raw(filter).map(Kept::new) }
}

/// The request's headers have arrived.
pub unsafe fn request_headers(envoy: FilterPtr, filter: *const c_void, is_complete: bool) -> u32 {
    // SAFETY: as for `stream`.
    let Some(stream) = (unsafe { stream(filter) }) else {
        // SAFETY: Envoy's filter lives.
        return unsafe { unavailable(envoy) };
    };
    let next = caught(|| stream.request_headers(is_complete));
    // SAFETY: the filter lives.
    unsafe { decided(next, &stream, Phase::Request, envoy) }
}

/// A part of the request's body has arrived.
pub unsafe fn request_body(filter: *const c_void, is_end: bool) -> u32 {
    if is_end {
        // SAFETY: as for `stream`.
        unsafe { observed(filter, Phase::RequestEnd, |stream| stream.request_end()) }
    }
    status::CONTINUE
}

/// The request's trailers have arrived.
pub unsafe fn request_trailers(filter: *const c_void) -> u32 {
    // SAFETY: as for `stream`.
    unsafe { observed(filter, Phase::RequestEnd, |stream| stream.request_end()) }
    status::CONTINUE
}

/// The response's headers have arrived.
pub unsafe fn response_headers(envoy: FilterPtr, filter: *const c_void) -> u32 {
    // SAFETY: as for `stream`.
    let Some(stream) = (unsafe { stream(filter) }) else {
        // This is the reply to the request, or that of a filter before it.
        return status::CONTINUE;
    };
    let next = caught(|| stream.response_headers());
    // SAFETY: the filter lives.
    unsafe { decided(next, &stream, Phase::Response, envoy) }
}

/// The response's trailers have arrived.
pub unsafe fn response_trailers(filter: *const c_void) -> u32 {
    // SAFETY: as for `stream`.
    unsafe { observed(filter, Phase::Trailers, |stream| stream.response_trailers()) }
    status::CONTINUE
}

/// The stream has ended.
pub unsafe fn stream_complete(filter: *const c_void) {
    // SAFETY: as for `stream`.
    unsafe { observed(filter, Phase::Log, |stream| stream.log()) }
}

/// A tick through a stream.
pub unsafe fn filter_scheduled(filter: *const c_void) {
    // SAFETY: as for `stream`.
    if let Some(stream) = unsafe { stream(filter) } {
        caught(|| stream.tick());
    }
}

/// What Envoy does with a message, after a callback that may have panicked.
///
/// # Safety
/// The filter lives.
unsafe fn decided(next: Option<Next>, stream: &Kept, phase: Phase, envoy: FilterPtr) -> u32 {
    let next = next.or_else(|| caught(|| stream.panicked(phase)));
    match next {
        Some(Next::Continue) => status::CONTINUE,
        Some(Next::Hold) => status::STOP_ALL_AND_WATERMARK,
        // SAFETY: as above.
        None => unsafe { unavailable(envoy) },
    }
}

/// Answers the message with 503.
///
/// # Safety
/// The filter lives.
unsafe fn unavailable(envoy: FilterPtr) -> u32 {
    let details = Buffer::from(&b"plugin_panicked"[..]);
    // SAFETY: the filter lives, and copies everything.
    unsafe { abi::send_response(envoy, 503, std::ptr::null_mut(), 0, Buffer::NONE, details) }
    status::STOP_ALL_AND_WATERMARK
}

/// Calls a function that decides nothing. After a panic, the plugins note it.
///
/// # Safety
/// As for [`stream`].
unsafe fn observed(filter: *const c_void, phase: Phase, callback: impl FnOnce(&Kept)) {
    // SAFETY: as above.
    let Some(stream) = (unsafe { stream(filter) }) else {
        return;
    };
    if caught(|| callback(&stream)).is_none() {
        caught(|| stream.panicked(phase));
    }
}

/// The result of a function; `None` if it panicked, which is in the log.
fn caught<T>(function: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(function)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Envoy takes no notice if a filter could not be created, and calls it with null.
    #[test]
    fn a_filter_that_does_not_exist_does_no_harm() {
        // SAFETY: null is no filter.
        unsafe {
            assert_eq!(request_body(null(), true), status::CONTINUE);
            assert_eq!(request_trailers(null()), status::CONTINUE);
            assert_eq!(response_trailers(null()), status::CONTINUE);
            filter_scheduled(null());
            stream_complete(null());
            filter_destroy(null());
            config_destroy(null());
            route_config_destroy(null());
        }
    }
}
