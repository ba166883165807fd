//! Filters that the tests share.

pub(crate) mod probe;
pub(crate) mod raw;
