//! The ways in which the world behind Envoy reads a request.
//!
//! A request has no meaning of its own: the server that handles it gives it one, and servers differ.
//! A policy that takes one reading for the truth can be dodged by a spelling that the server reads in
//! another way. This module owns all readings, for all policies. Its users follow one rule:
//!
//! - What **grants** (an exemption, a milder rule, a fresh bucket) holds only if *every* reading
//!   grants it.
//! - What **restricts** holds if *any* reading does.
//!
//! [`Fit`] is the answer of a condition under that rule; [`Reading`] is a value under it. [`path`] reads
//! paths.

pub mod authority;
pub mod cookie;
mod fit;
pub mod header;
mod header_name;
pub mod method;
mod name;
pub mod path;
mod percent;
pub mod query;
mod reading;
#[cfg(test)]
mod tests;
pub mod value;

pub use fit::Fit;
pub use header_name::is_spelling_of;
pub use reading::Reading;
