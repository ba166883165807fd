//! Calls about one HTTP stream: headers, properties, local replies, resuming.

use portcullis_host::Status;

use super::{check, receive};

/// The header maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum MapKind {
    /// Headers of the request; readable only in the request phase.
    RequestHeaders = 0,
    /// Headers of the response.
    ResponseHeaders = 2,
    /// Trailers of the response.
    ResponseTrailers = 3,
    /// Headers of the response to a call; readable only in the callback of that response.
    CallResponseHeaders = 6,
    /// The trailers of that response.
    CallResponseTrailers = 7,
}

/// The stream type of a request.
const REQUEST: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
}

/// Reads a whole header map, in the [encoding](crate::header_codec) of the ABI.
pub(crate) fn header_map(map: MapKind) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `data` and `size` are valid places to write to.
        unsafe { proxy_get_header_map_pairs(map as u32, data, size) }
    })
}

/// Adds a line to a header map.
pub(crate) fn add_header(map: MapKind, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    check(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Replaces all values of a header with one.
pub(crate) fn replace_header(map: MapKind, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes a header.
pub(crate) fn remove_header(map: MapKind, name: &[u8]) -> Result<(), Status> {
    // SAFETY: the pointer and the size describe `name`, which the host only reads.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Reads a property of the request, its connection or the proxy. NUL separates the parts of `path`.
pub(crate) fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: the host only reads `path`; `data` and `size` are valid places to write to.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

/// Stores a value in the filter state of the request. Later filters read it as a property.
pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Answers the request immediately. `headers` are in the [encoding](crate::header_codec) of the ABI. Envoy
/// answers a gRPC request with `grpc_status`, or with a status derived from `status` if that is -1.
pub(crate) fn send_local_response(
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    check(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Resumes a paused request, once the current callback has returned.
pub(crate) fn resume_request() -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    check(unsafe { proxy_continue_stream(REQUEST) })
}
