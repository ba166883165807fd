//! Tokens that are no longer accepted, although they have not expired.
//!
//! A token is identified by its issuer and its `jti` (RFC 7519, sections 4.1.1 and 4.1.7), compared byte by byte.
//! Its own bytes or their hash never identify it: an ECDSA signature (*r*, *s*) is as valid as (*r*, −*s*), so
//! anybody with a token can make another one that differs only in its signature. A token without `jti` cannot be
//! revoked.
//!
//! # Sources of entries
//!
//! - **Inline**, from the configuration: for emergencies, and for tokens that never expire. These entries have no
//!   end.
//! - **Remote**: a document in the following format, kept up to date as [`remote`](crate::remote) describes. The last
//!   list stays in use, however old, until another can be fetched.
//!
//! ```json
//! {"revoked": [{"iss": "https://idp.example", "jti": "abc", "exp": 1700000000}]}
//! ```
//!
//! # The document
//!
//! - All or nothing: a document with one bad entry is refused, and the last list stays. Half a list would admit
//!   tokens that somebody wanted to stop, without a sign of it; a failed fetch is counted.
//! - `revoked` is required, so that an error page in JSON is not an empty list; `[]` is one.
//! - `iss` and `jti` are required, and not empty. `exp` is the expiration time of the token, in seconds since the
//!   Unix epoch, possibly with a fraction; without it, the entry applies while it is listed.
//! - A duplicate member with one of these names is refused: JSON parsers disagree about which one counts. Other
//!   members are ignored, so that a server can also state a reason and a time.
//! - At most [`MAX_BODY`](crate::remote::MAX_BODY) bytes, 1 MiB: about 10,000 entries of typical length. Shared data
//!   copies it as a whole (see there), and each worker parses it once for each change, in one piece: natively 1 µs
//!   for each typical entry, 10 ms for the largest document; in WebAssembly longer.
//!
//! # The end of an entry
//!
//! An entry expires with its token: `clock_skew` after `exp`, when the token itself is refused. If it expired
//! earlier, a revoked token would be accepted in between. Of duplicate entries, the one that lives longer counts.
//!
//! # In memory
//!
//! Issuer and `jti` are hashed together to 128 bits (see [`KeyHasher`](portcullis_table::KeyHasher)), and an entry
//! takes 24 bytes. With a list of maximum length, the probability that a token is refused by mistake is below 10⁻³³.
//! A look-up is a binary search, so its cost does not depend on the token.

mod config;
mod document;
mod list;
#[cfg(test)]
mod tests;

pub use config::{RevocationConfig, Revoked};
pub use document::ParseError;
pub use list::RevocationList;
