//! The calls from a plugin to its host (proxy-wasm ABI 0.2.1 and two functions of WASI preview 1),
//! as functions that return a [`Status`] where the SDK's would panic.
//!
//! Nothing here interprets what it carries. Natively the same symbols are defined by
//! `tests/native-host`, or there is nobody to link with: the crate is of use only below a host.

use std::ptr::null_mut;

/// What a host call returned when it did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is no such thing.
    NotFound,
    /// An argument was refused, or the call is not possible in this phase.
    BadArgument,
    /// Somebody else changed the value in between.
    CasMismatch,
    /// The host refuses for a reason of its own. Envoy: also a call that
    /// `capability_restriction_config` leaves out.
    InternalFailure,
    /// The host does not have this call.
    Unimplemented,
    /// WASI's answer to a call that `capability_restriction_config` leaves out (`ENOTCAPABLE`).
    NotCapable,
    /// Another code of the ABI.
    Other(u32),
}

/// The number of a call that did not succeed.
impl From<u32> for Status {
    fn from(code: u32) -> Self {
        match code {
            1 => Self::NotFound,
            2 => Self::BadArgument,
            8 => Self::CasMismatch,
            10 => Self::InternalFailure,
            12 => Self::Unimplemented,
            code => Self::Other(code),
        }
    }
}

impl Status {
    fn check(code: u32) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            code => Err(code.into()),
        }
    }

    /// The same of a call of WASI, whose numbers are others.
    fn check_wasi(errno: u16) -> Result<(), Self> {
        const ENOTCAPABLE: u16 = 76;
        match errno {
            0 => Ok(()),
            ENOTCAPABLE => Err(Self::NotCapable),
            errno => Err(Self::Other(errno.into())),
        }
    }
}

/// Which header map a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// Headers of the request; readable in the request phase only.
    RequestHeaders = 0,
    /// Headers of the response.
    ResponseHeaders = 2,
    /// Trailers of the response.
    ResponseTrailers = 3,
    /// Headers of the response to a call, while its callback runs.
    CallResponseHeaders = 6,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MetricKind {
    /// A number that only grows.
    Counter = 0,
    /// A number that goes up and down.
    Gauge = 1,
}

/// Which bytes a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Buffer {
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

const REQUEST: u32 = 0;
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
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
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        size: usize,
        version: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(id: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    fn random_get(buffer: *mut u8, size: usize) -> u16;
}

/// Writes a line to Envoy's log.
pub fn log(level: u32, message: &str) {
    // SAFETY: the pointer and the size describe `message`, which the host only reads.
    // A line that cannot be logged is lost; there is nowhere to report it.
    let _ = unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// The least level that Envoy logs, as a number of the ABI (0 trace … 5 critical).
pub fn log_level() -> Result<u32, Status> {
    let mut level = 0;
    // SAFETY: `level` outlives the call and has the type that the host writes.
    Status::check(unsafe { proxy_get_log_level(&mut level) })?;
    Ok(level)
}

/// The configuration of the plugin, as text.
pub fn plugin_configuration() -> Result<Vec<u8>, Status> {
    buffer(Buffer::PluginConfiguration, usize::MAX)
}

/// The body of the response to a call, while its callback runs: the first so many bytes.
pub fn call_response_body(max_size: usize) -> Result<Vec<u8>, Status> {
    buffer(Buffer::CallResponseBody, max_size)
}

fn buffer(buffer: Buffer, max_size: usize) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `data` and `size` are valid places to write to.
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max_size, data, size) }
    })
}

/// A whole header map, in the encoding of the ABI.
pub fn header_map(map: Map) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `data` and `size` are valid places to write to.
        unsafe { proxy_get_header_map_pairs(map as u32, data, size) }
    })
}

/// Adds a line to a header map.
pub fn add_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    Status::check(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Gives a header one value, in place of all that it has.
pub fn replace_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    Status::check(unsafe {
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
pub fn remove_header(map: Map, name: &[u8]) -> Result<(), Status> {
    // SAFETY: the pointer and the size describe `name`, which the host only reads.
    Status::check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// A property of the request, its connection or the proxy; `path` has its parts separated by NUL.
pub fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `path` is only read; `data` and `size` are valid places to write to.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

/// Leaves a value in the filter state of the request, for later filters to read as a property.
pub fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    Status::check(unsafe {
        proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len())
    })
}

/// Answers the request here and now. `headers` are in the encoding of the ABI. For gRPC requests
/// Envoy makes a gRPC status of it: `grpc_status`, or one derived from `status` if that is -1.
pub fn send_local_response(
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    Status::check(unsafe {
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

/// Defines a metric and returns its id.
pub fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: `name` is only read; `id` outlives the call and has the type that the host writes.
    Status::check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) })?;
    Ok(id)
}

/// Adds to a metric.
pub fn increment_metric(id: u32, offset: i64) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    Status::check(unsafe { proxy_increment_metric(id, offset) })
}

/// Gives a gauge a value.
pub fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    Status::check(unsafe { proxy_record_metric(id, value) })
}

/// Calls a function that this proxy has beside the ABI.
pub fn call_foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `name` and `argument` are only read; the others are valid places to write to.
        unsafe {
            proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                argument.as_ptr(),
                argument.len(),
                data,
                size,
            )
        }
    })
}

/// Sets the timer of the current root context: the next tick comes after this time; 0 stops it.
pub fn set_tick_period(milliseconds: u32) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    Status::check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Lets the following calls act on another context, until this callback ends or this is called anew.
pub fn set_effective_context(id: u32) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    Status::check(unsafe { proxy_set_effective_context(id) })
}

/// Lets a request go on that was paused, once the present callback has returned.
pub fn resume_request() -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    Status::check(unsafe { proxy_continue_stream(REQUEST) })
}

/// A value that all VMs of one `vm_id` share, with its version.
pub fn shared_data(key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
    let mut version = 0;
    let value = receive(|data, size| {
        // SAFETY: `key` is only read; the others are valid places to write to.
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version) }
    })?;
    Ok((value, version))
}

/// Stores a value that all VMs of one `vm_id` share: always, if `version` is 0 or there is no such
/// key; else only if the value still has this version.
pub fn set_shared_data(key: &[u8], value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    Status::check(unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    })
}

/// Nanoseconds of a clock that never goes back, comparable between the workers of one process.
pub fn monotonic_nanos() -> Result<u64, Status> {
    clock_nanos(CLOCK_MONOTONIC)
}

/// Nanoseconds since the Unix epoch, on a clock that somebody may set.
pub fn wall_nanos() -> Result<u64, Status> {
    clock_nanos(CLOCK_REALTIME)
}

fn clock_nanos(clock: u32) -> Result<u64, Status> {
    let mut nanos = 0;
    // SAFETY: `nanos` outlives the call and has the type that the host writes.
    Status::check_wasi(unsafe { clock_time_get(clock, 0, &mut nanos) })?;
    Ok(nanos)
}

/// Fills `buffer` with bytes that nobody can predict (Envoy: BoringSSL's generator).
pub fn random(buffer: &mut [u8]) -> Result<(), Status> {
    // SAFETY: the pointer and the size describe `buffer`, which the host fills.
    Status::check_wasi(unsafe { random_get(buffer.as_mut_ptr(), buffer.len()) })
}

/// Takes over the memory in which a host call returns bytes.
fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let mut data = null_mut();
    let mut size = 0;
    Status::check(call(&mut data, &mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got this memory from `proxy_on_memory_allocate`, with which the SDK hands
    // out the memory of a boxed slice of just `size` bytes, and does not use it any more.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}
