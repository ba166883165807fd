//! The interpretations of a request: the different ways in which servers behind Envoy may read it.
//!
//! Servers differ in how they decode paths, find cookies or compare names. A client can evade a policy that knows
//! only one of these interpretations: it spells the request so that the server reads it differently. This module
//! contains all interpretations that policies consider. They follow one rule:
//!
//! - A rule that **grants** (an exemption, a milder limit, a fresh bucket) applies only if it matches *every*
//!   interpretation.
//! - A rule that **restricts** applies if it matches *any* interpretation.
//!
//! [`Fit`] is the result of a condition under that rule, and [`Reading`] is a value under it. [`path`] computes the
//! variants of a path, that is, all paths that servers may find in one `:path`.

pub mod authority;
pub mod cookie;
mod fit;
pub mod header;
pub mod header_name;
pub mod method;
pub mod name;
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
