//! Envoy's ABI for dynamic modules, as far as this crate uses it.
//!
//! Written against `source/extensions/dynamic_modules/abi/abi.h` of Envoy 1.40. All calls in [`calls`] exist since 1.38,
//! so the library loads there; those in [`newer`] are looked up when the library is loaded.
//!
//! Nothing here interprets the bytes that it carries.

mod calls;
mod newer;

use std::ffi::c_void;

pub(crate) use calls::*;
pub(crate) use newer::{ChangeMetric, Newer, newer};

/// The version of the ABI, as Envoy 1.40 names it. Another Envoy warns, and loads the library all the same.
pub(crate) const VERSION: &std::ffi::CStr = c"v0.2.0";

/// Bytes of Envoy.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EnvoyBuffer {
    ptr: *const u8,
    length: usize,
}

impl EnvoyBuffer {
    pub(crate) const EMPTY: Self = Self {
        ptr: std::ptr::null(),
        length: 0,
    };

    /// The bytes.
    ///
    /// # Safety
    /// Envoy filled the buffer in this callback, and no call since has changed what it points to.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() {
            return &[];
        }
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.ptr, self.length) }
    }
}

/// Bytes of this library. A null pointer means that there are none.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Buffer {
    ptr: *const u8,
    length: usize,
}

impl Buffer {
    pub(crate) const NONE: Self = Self {
        ptr: std::ptr::null(),
        length: 0,
    };
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            length: bytes.len(),
        }
    }
}

/// A header in Envoy's memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EnvoyHeader {
    name: EnvoyBuffer,
    value: EnvoyBuffer,
}

impl EnvoyHeader {
    /// The name and the value.
    ///
    /// # Safety
    /// As for [`EnvoyBuffer::bytes`].
    pub(crate) unsafe fn parts<'a>(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: as above.
        unsafe { (self.name.bytes(), self.value.bytes()) }
    }
}

/// A header in the memory of this library.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
    name: Buffer,
    value: Buffer,
}

impl Header {
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A filter configuration in Envoy.
pub type ConfigPtr = *mut c_void;
/// A filter of one stream in Envoy.
pub type FilterPtr = *mut c_void;
/// A scheduler, which Envoy allocates for a filter or a configuration.
pub(crate) type SchedulerPtr = *mut c_void;

/// The header maps of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) enum HeaderType {
    Request = 0,
    Response = 2,
    ResponseTrailers = 3,
}

/// Attributes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) enum Attribute {
    ResponseCode = 15,
    ResponseCodeDetails = 16,
    ResponseFlags = 17,
    SourceAddress = 24,
    ConnectionTlsVersion = 31,
    UpstreamRequestAttemptCount = 53,
    XdsRouteName = 61,
}

/// The sources of metadata.
pub(crate) mod metadata {
    pub(crate) const DYNAMIC: u32 = 0;
}

/// The results of starting a callout.
pub(crate) mod callout {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const MISSING_HEADERS: u32 = 1;
    pub(crate) const CLUSTER_NOT_FOUND: u32 = 2;
}

/// What a filter tells Envoy about headers.
pub(crate) mod status {
    pub(crate) const CONTINUE: u32 = 0;
    /// Hold headers, body and trailers, and apply back-pressure to the sender.
    pub(crate) const STOP_ALL_AND_WATERMARK: u32 = 4;
}
