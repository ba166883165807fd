//! `dist/security_headers.wasm`.
#![cfg(target_arch = "wasm32")]

portcullis_host::module!(portcullis_security_headers::SecurityHeaders);
