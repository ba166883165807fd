//! The fleet limit, on simulated services.

#[cfg(not(target_arch = "wasm32"))]
mod messages;
