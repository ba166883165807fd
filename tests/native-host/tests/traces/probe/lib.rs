//! The probe of the traces, as a WebAssembly module.

#[path = "../../common/probe.rs"]
mod probe;
#[path = "../../common/raw.rs"]
mod raw;
#[path = "../../common/script.rs"]
mod script;

proxy_wasm::main! {{ probe::init(); }}
