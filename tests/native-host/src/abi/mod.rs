//! The C side of the ABI 0.2.1, as the SDK is compiled natively: pointers and sizes have the
//! machine's width, and pass unchecked, because guest and host share one memory.

mod calls;
pub(crate) mod exports;
mod http;
mod libc;
mod memory;
mod state;
mod wasi;
