//! The probe of the traces, as a WebAssembly module.

#[path = "../../integration/common/probe.rs"]
mod probe;
#[path = "../../integration/common/raw.rs"]
mod raw;
#[path = "../../integration/common/script.rs"]
mod script;

proxy_wasm::main! {{ probe::init(); }}
