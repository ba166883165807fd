//! The WebAssembly module `dist/portcullis.wasm`.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "the SDK's macro defines a function for Envoy")]

portcullis_proxy_wasm::module!(portcullis::Portcullis);
