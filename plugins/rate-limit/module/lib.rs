//! The WebAssembly module `dist/rate_limit.wasm`.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "the SDK's macro defines a function for Envoy")]

portcullis_proxy_wasm::module!(rate_limit::RateLimit);
