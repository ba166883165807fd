//! Shared data. [`crate::shared_data`] builds on it and describes its semantics.

use portcullis_host::Status;

use super::{check, receive};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
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
}

/// Reads a value that all VMs of one `vm_id` share, with its version.
pub(crate) fn shared_data(key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
    let mut version = 0;
    let value = receive(|data, size| {
        // SAFETY: the host only reads `key`; the other pointers are valid places to write to.
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version) }
    })?;
    Ok((value, version))
}

/// Writes a value that all VMs of one `vm_id` share. The write is unconditional if `version` is 0 or the key
/// does not exist; otherwise it succeeds only if the value still has this version.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: pointers and sizes describe slices, which the host only reads.
    check(unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    })
}
