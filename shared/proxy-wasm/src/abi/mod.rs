//! The calls from a plugin to a proxy-wasm host (ABI 0.2.1, and two functions of WASI preview 1). Each
//! function returns a [`Status`] where the SDK's own would panic.
//!
//! Nothing here interprets the bytes that it carries. There is one file for each kind of call. Outside of
//! WebAssembly, `tests/native-host` defines the same symbols; without it, a native program does not link.

mod metrics;
mod root;
mod shared_data;
mod stream;
mod wasi;

use std::ptr::null_mut;

use portcullis_host::Status;

pub(crate) use metrics::{define_metric, increment_metric, record_metric};
pub(crate) use root::{
    call_foreign_function, call_response_body, enter_root, log, log_level, plugin_configuration,
    set_effective_context, set_tick_period,
};
pub(crate) use shared_data::{set_shared_data, shared_data};
pub(crate) use stream::{
    MapKind, add_header, header_map, property, remove_header, replace_header, resume_request,
    send_local_response, set_property,
};
pub(crate) use wasi::{monotonic_time, random, wall_time};

/// Takes ownership of the memory in which a host call returns bytes.
fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let mut data = null_mut();
    let mut size = 0;
    check(call(&mut data, &mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got this memory from `proxy_on_memory_allocate`, in which the SDK returns a boxed slice of
    // exactly `size` bytes, and the host does not use it any more.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// The meaning of a status code of the ABI.
fn check(code: u32) -> Result<(), Status> {
    match code {
        0 => Ok(()),
        code => Err(status(code)),
    }
}

/// The status of a call that failed, from its code in the ABI.
pub(crate) fn status(code: u32) -> Status {
    match code {
        1 => Status::NotFound,
        2 => Status::BadArgument,
        8 => Status::CasMismatch,
        10 => Status::InternalFailure,
        12 => Status::Unimplemented,
        code => Status::Other(code),
    }
}
