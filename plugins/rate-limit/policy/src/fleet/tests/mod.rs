//! The fleet limit, on simulated services.

#[cfg(not(target_arch = "wasm32"))]
mod messages;
#[cfg(not(target_arch = "wasm32"))]
mod proxies;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
#[cfg(not(target_arch = "wasm32"))]
mod service;
#[cfg(not(target_arch = "wasm32"))]
mod simulation;
