//! Calls that need no stream: log, configuration, timer, calls to other services, foreign functions.

use portcullis_host::Status;

use super::{check, receive};

/// The buffers that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum BufferKind {
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

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
}

unsafe extern "C" {
    /// A callback of the SDK.
    fn proxy_on_queue_ready(context: u32, queue: u32);
}

/// Calls [`RootContext::on_queue_ready`](proxy_wasm::traits::RootContext::on_queue_ready) of a root context, as Envoy
/// would. The SDK panics if there is no such context, or if a callback of a root context runs.
pub(crate) fn enter_root(root: u32) {
    // SAFETY: no pointers are passed, and the SDK exports a function with this signature.
    unsafe { proxy_on_queue_ready(root, 0) }
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: u32, message: &str) {
    // SAFETY: the pointer and the size describe `message`, which the host only reads.
    // A line that cannot be logged is lost: there is nowhere to report it.
    let _ = unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// The lowest level that Envoy logs, as a number of the ABI (0 trace … 5 critical).
pub(crate) fn log_level() -> Result<u32, Status> {
    let mut level = 0;
    // SAFETY: `level` outlives the call and has the type that the host writes.
    check(unsafe { proxy_get_log_level(&mut level) })?;
    Ok(level)
}

/// The plugin's configuration, as text.
pub(crate) fn plugin_configuration() -> Result<Vec<u8>, Status> {
    buffer(BufferKind::PluginConfiguration, usize::MAX)
}

/// The first `max_size` bytes of the body of the response to a call. Readable only in the callback of that
/// response.
pub(crate) fn call_response_body(max_size: usize) -> Result<Vec<u8>, Status> {
    buffer(BufferKind::CallResponseBody, max_size)
}

fn buffer(buffer: BufferKind, max_size: usize) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: `data` and `size` are valid places to write to.
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max_size, data, size) }
    })
}

/// Calls a function that this proxy offers in addition to the ABI.
pub(crate) fn call_foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, Status> {
    receive(|data, size| {
        // SAFETY: the host only reads `name` and `argument`; the other pointers are valid places to write to.
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
pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Makes the following calls act on another context, until the current callback ends or the next call of this
/// function.
pub(crate) fn set_effective_context(id: u32) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    check(unsafe { proxy_set_effective_context(id) })
}
