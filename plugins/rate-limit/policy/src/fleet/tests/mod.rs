//! The fleet limit, on simulated services.

mod answer;
mod config;
#[cfg(not(target_arch = "wasm32"))]
mod messages;
mod outage;
#[cfg(not(target_arch = "wasm32"))]
mod proxies;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
#[cfg(not(target_arch = "wasm32"))]
mod random;
#[cfg(not(target_arch = "wasm32"))]
mod service;
#[cfg(not(target_arch = "wasm32"))]
mod simulation;
mod to_and_fro;
