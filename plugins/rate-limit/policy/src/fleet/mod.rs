//! One limit for a fleet of proxies.

pub mod lease;
pub mod messages;
pub mod reserve;
#[cfg(test)]
mod tests;
