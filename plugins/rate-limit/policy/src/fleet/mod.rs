//! One limit for a fleet of proxies.

mod answer;
pub mod config;
pub mod lease;
pub mod messages;
pub mod outage;
pub mod reserve;
#[cfg(test)]
mod tests;
