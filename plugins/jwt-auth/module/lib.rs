//! `dist/jwt_auth.wasm`.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    reason = "the SDK's macro makes a function, for Envoy to call"
)]

portcullis_host::module!(jwt_auth::JwtAuth);
