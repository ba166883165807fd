//! The cost of single steps between Envoy and a module: small modules that do nothing else. A plugin costs at least the
//! sum of its steps.

use std::fs;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::filter::WasmFilter;

use super::{Filter, Variant};

/// A module with these callbacks for streams, and this code in the one for a request's headers. It always allocates the
/// same memory.
fn module(callbacks: &str, call: &str) -> String {
    let block = headers(RECEIVED + ADDED);
    let block: String = block.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module
            (import "env" "proxy_get_property"
                (func $property (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_get_header_map_pairs"
                (func $headers (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_shared_data"
                (func $get (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_shared_data"
                (func $set (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_define_metric"
                (func $define (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_increment_metric" (func $count (param i32 i64) (result i32)))
            (import "env" "proxy_set_property"
                (func $state (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_add_header_map_value"
                (func $add (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_header_map_pairs"
                (func $pairs (param i32 i32 i32) (result i32)))
            (import "env" "proxy_call_foreign_function"
                (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func $clock (param i32 i64 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 16) "source\00address")
            (data (i32.const 32) "a key of twenty-two by")
            (data (i32.const 64) "an empty value's key..")
            (data (i32.const 96) "bench")
            (data (i32.const 112) "request\00path")
            (data (i32.const 128) "portcullis.bench")
            (data (i32.const 160) "expr_create")
            (data (i32.const 176) "expr_evaluate")
            (data (i32.const 192) "source.address + request.path")
            (data (i32.const 256) "x-header-0")
            (data (i32.const 8192) "{block}")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const 65536))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $set (i32.const 32) (i32.const 22)
                    (i32.const 4096) (i32.const 25) (i32.const 0)))
                (drop (call $set (i32.const 64) (i32.const 22)
                    (i32.const 4096) (i32.const 0) (i32.const 0)))
                (drop (call $define (i32.const 0) (i32.const 96) (i32.const 5) (i32.const 12)))
                (drop (call $foreign (i32.const 160) (i32.const 11)
                    (i32.const 192) (i32.const 29) (i32.const 0) (i32.const 4)))
                (i32.store (i32.const 240) (i32.load (i32.const 65536)))
                (i32.const 1))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                {call}
                (i32.const 0))
            {callbacks})"#
    )
}

const MORE_CALLBACKS: &str = r#"
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_delete") (param i32))"#;

/// How many headers a response has, and how many are added.
const RECEIVED: u8 = 6;
const ADDED: u8 = 13;

/// As many response headers, in the encoding of the ABI.
fn headers(count: u8) -> Vec<u8> {
    let headers = (0..count).map(|number| match number {
        0 => (":status".to_owned(), "200"),
        1 => ("content-length".to_owned(), "5"),
        _ => (
            format!("x-header-{}", char::from(b'a' + number)),
            "a value of 22 bytes...",
        ),
    });
    let headers: Vec<_> = headers.collect();
    let size = |text: &str| (text.len() as u32).to_le_bytes();
    let mut block = u32::from(count).to_le_bytes().to_vec();
    for (name, value) in &headers {
        block.extend([size(name), size(value)].concat());
    }
    for (name, value) in &headers {
        block.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    block
}

/// The callback for a response's headers, with this code.
fn on_response(code: &str) -> String {
    format!(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) {code} (i32.const 0))"#
    )
}

pub(super) fn variants() -> Vec<Variant> {
    // The last letter of the name differs.
    let add = |number: u8| {
        format!(
            "(i32.store8 (i32.const 265) (i32.const {}))
            (drop (call $add (i32.const 2) (i32.const 256) (i32.const 10) (i32.const 32) (i32.const 22)))",
            b'a' + number
        )
    };
    let adds = on_response(&(0..ADDED).map(add).collect::<String>());
    let pairs = on_response(&format!(
        "(drop (call $pairs (i32.const 2) (i32.const 8192) (i32.const {})))",
        headers(RECEIVED + ADDED).len()
    ));
    let response = on_response("");
    // Results go to the addresses 0, 4 and 8.
    let calls = [
        ("call_none", "a module that is entered once", "", ""),
        ("call_entries", "  three times more", MORE_CALLBACKS, ""),
        (
            "call_property",
            "  and asks for the address",
            "",
            "(drop (call $property (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4)))",
        ),
        (
            "call_two",
            "  and asks for the path, too",
            "",
            "(drop (call $property (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4)))
            (drop (call $property (i32.const 112) (i32.const 12) (i32.const 0) (i32.const 4)))",
        ),
        (
            "call_expression",
            "  and asks for both in one expression",
            "",
            "(if (call $foreign (i32.const 176) (i32.const 13) (i32.const 240) (i32.const 4)
                (i32.const 0) (i32.const 4)) (then unreachable))",
        ),
        (
            "call_state",
            "  and stores 25 bytes of filter state",
            "",
            "(drop (call $state (i32.const 128) (i32.const 16) (i32.const 4096) (i32.const 25)))",
        ),
        (
            "call_response",
            "  and is entered for the response",
            &response,
            "",
        ),
        ("call_adds", "  and adds 13 headers to it", &adds, ""),
        ("call_pairs", "  and writes all 19 headers", &pairs, ""),
        (
            "call_headers",
            "  and asks for all headers",
            "",
            "(drop (call $headers (i32.const 0) (i32.const 0) (i32.const 4)))",
        ),
        (
            "call_get",
            "  and reads 25 bytes of shared data",
            "",
            "(drop (call $get (i32.const 32) (i32.const 22)
                (i32.const 0) (i32.const 4) (i32.const 8)))",
        ),
        (
            "call_get_empty",
            "  and reads none, with a version",
            "",
            "(drop (call $get (i32.const 64) (i32.const 22)
                (i32.const 0) (i32.const 4) (i32.const 8)))",
        ),
        (
            "call_set",
            "  and writes 25 bytes of shared data",
            "",
            "(drop (call $set (i32.const 32) (i32.const 22)
                (i32.const 4096) (i32.const 25) (i32.const 0)))",
        ),
        (
            "call_clock",
            "  and asks for the time",
            "",
            "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0)))",
        ),
        (
            "call_count",
            "  and increments a counter",
            "",
            "(drop (call $count (i32.load (i32.const 12)) (i64.const 1)))",
        ),
    ];
    let variant = |(id, name, callbacks, call)| {
        let module = wat::parse_str(module(callbacks, call)).expect("a module");
        // `make bench` has built modules there.
        let file = artifacts::empty_filter().with_file_name(format!("{id}.wasm"));
        fs::write(&file, module).expect("a file");
        let filter = Filter::Wasm(vec![WasmFilter::module(id, file)]);
        Variant::new(id, name, filter, |_, response| response.status == 200)
    };
    calls.into_iter().map(variant).collect()
}
