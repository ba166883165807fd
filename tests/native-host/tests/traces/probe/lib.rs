//! The probe of the traces, as a WebAssembly module.

#[path = "../../common/probe.rs"]
mod probe;
#[path = "../../common/raw.rs"]
mod raw;

proxy_wasm::main! {{ probe::init(); }}
