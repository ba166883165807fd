//! Panics that a request asks for. They exist in the library for tests only.

use crate::abi::FilterPtr;

/// Panics if the header `x-portcullis-crash` of the request names this moment; `1` names the request phase.
#[cfg(feature = "panic-on-request")]
#[expect(clippy::panic, reason = "tests ask for it")]
pub(crate) fn panic_on_request(filter: FilterPtr, moment: &str) {
    use crate::abi::{self, EnvoyBuffer, HeaderType};

    let name = b"x-portcullis-crash"[..].into();
    let mut value = EnvoyBuffer::EMPTY;
    let count = std::ptr::null_mut();
    // SAFETY: the filter lives, and reads the name.
    let is_found = unsafe { abi::header(filter, HeaderType::Request, name, &mut value, 0, count) };
    // SAFETY: Envoy has just filled it.
    let asked = unsafe { value.bytes() };
    if is_found && (asked == moment.as_bytes() || (asked == b"1" && moment == "request")) {
        panic!("the request asks for a panic: {moment}");
    }
}

#[cfg(not(feature = "panic-on-request"))]
pub(crate) fn panic_on_request(_filter: FilterPtr, _moment: &str) {}
