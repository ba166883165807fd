//! Bytes between guest and host.
//!
//! All host calls keep one contract: a pointer to bytes comes with their number, and may be null if
//! there are none; a pointer to write to points to memory of the guest that has that type. Callers
//! that keep this contract make the unsafe code here sound.

use std::ptr::null_mut;

use super::exports::allocate;
use crate::hostcalls::Guest;
use crate::status::Status;
use crate::vm::with_local;

/// Runs the host call of this name, unless the VM lacks the capability. Outside a VM there is nothing
/// that it could be about.
pub(super) fn host<R>(
    name: &str,
    call: impl FnOnce(&mut Guest<'_>) -> Result<R, Status>,
) -> Result<R, Status> {
    let called = with_local(|shared, vm| {
        let mut guest = Guest { shared, vm };
        match guest.may_call("proxy-wasm", name) {
            true => call(&mut guest),
            false => Err(Status::InternalFailure),
        }
    });
    called.unwrap_or(Err(Status::BadArgument))
}

/// The ABI's code for a result; zero is success.
pub(super) fn code(result: Result<(), Status>) -> u32 {
    result.map_or_else(|status| status as u32, |()| 0)
}

/// Bytes of the guest.
///
/// # Safety
/// The module's contract.
pub(super) unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the contract; the guest does not run while a host call does.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// Writes a result to the guest, if there is one.
///
/// # Safety
/// The module's contract.
pub(super) unsafe fn write<T>(result: Result<T, Status>, to: *mut T) -> u32 {
    // SAFETY: the contract.
    code(result.map(|value| unsafe { *to = value }))
}

/// Hands bytes to the guest, in memory that the guest frees; no bytes as a null pointer.
///
/// # Safety
/// The module's contract.
pub(super) unsafe fn give(
    result: Result<Vec<u8>, Status>,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    code(result.map(|bytes| {
        let memory = match bytes.len() {
            0 => null_mut(),
            length => allocate(length),
        };
        // SAFETY: the contract; and the guest has just allocated as many bytes.
        unsafe {
            if !memory.is_null() {
                memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
            *data = memory;
            *size = bytes.len();
        }
    }))
}
