//! jwt-auth's tests of tokens, keys and signatures, with this crate's verifier as the host: the examples of the RFCs,
//! bad signatures, changed tokens, and the agreement of host and Rust.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod jose;
