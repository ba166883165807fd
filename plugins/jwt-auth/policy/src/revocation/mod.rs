//! Tokens that are no longer accepted, although they have not expired.
//!
//! A token is known by its issuer and its `jti` (RFC 7519, sections 4.1.1 and 4.1.7), compared byte by byte.
//! It is never known by its own bytes or their hash: an ECDSA signature (*r*, *s*) is as good as
//! (*r*, −*s*), so whoever has a token can make another one that differs only in its signature. A token
//! without `jti` cannot be revoked.
//!
//! # Where entries come from
//!
//! - **Inline**, from the configuration: for emergencies, and for tokens that never expire. These have no
//!   end.
//! - **Remote**: a document like this, kept up to date as [`remote`](crate::remote) describes. The last list
//!   stays for as long as no other can be fetched, however old it is.
//!
//! ```json
//! {"revoked": [{"iss": "https://idp.example", "jti": "abc", "exp": 1700000000}]}
//! ```
//!
//! # The document
//!
//! - All or nothing: a document with one bad entry is refused, and the last list stays. Half a list would
//!   let tokens pass that somebody wanted to stop, and nobody would know; that a fetch failed is counted.
//! - `revoked` is required, so that an error page in JSON is no empty list; `[]` is one.
//! - `iss` and `jti` are required, and not empty. `exp` is the expiration time of the token, in seconds
//!   since the Unix epoch, perhaps with a fraction; without it, the entry is there for as long as it is
//!   listed.
//! - A member of these names that is given twice is refused: JSON parsers disagree about which one counts.
//!   Others are ignored, so that a server can also say why and when.
//! - At most [`MAX_BODY`](crate::remote::MAX_BODY) bytes, 1 MiB: some 10,000 entries of usual length.
//!   Shared data copies it as a whole (see there), and each worker parses it once for each change, in
//!   one piece: natively 1 µs for each usual entry, 10 ms for the whole; in WebAssembly longer.
//!
//! # An entry dies
//!
//! With its token: `clock_skew` after `exp`, when the token itself is refused, and not earlier, or a revoked
//! token would be accepted for that while. Where entries are given twice, the one that lives longer counts.
//!
//! # In memory
//!
//! Issuer and `jti` are hashed together to 128 bits (see [`KeyHasher`](portcullis_table::KeyHasher)), and an
//! entry takes 24 bytes. With a list of the greatest length, the chance that a token is refused by mistake is
//! below 10⁻³³. A look-up is a binary search, so what is asked for often costs no more than anything else.

mod config;
mod document;
mod list;
#[cfg(test)]
mod tests;

pub use config::{RevocationConfig, Revoked};
pub use document::ParseError;
pub use list::RevocationList;
