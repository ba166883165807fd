//! Repeats one service, to count its instructions. The difference of two runs is the cost of the repetitions:
//!
//! ```sh
//! cargo build --release -p portcullis-dynamic-module --example costs
//! for times in 1000 2000; do valgrind --tool=callgrind target/release/examples/costs update $times; done
//! ```
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a program for the shell"
)]

use std::hint::black_box;

use portcullis_core::signature::Hash;
use portcullis_dynamic_module::process;
use portcullis_dynamic_module::shared_values::SharedBytes;
use portcullis_dynamic_module::signature;
use portcullis_dynamic_module::tables::SharedTable;

/// The bytes of 16 slots with a tag and a state of 8 bytes each, a floor and the version.
const BLOCK: usize = 16 * 16 + 8 + 1;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let times: u32 = arguments[2].parse().unwrap();
    match arguments[1].as_str() {
        // A full block, and an edit of one byte.
        "update" => {
            let table = SharedTable::open("plugin", "instance", 1);
            table.update(7, &mut |bytes| {
                bytes.resize(BLOCK, 0);
                true
            });
            for _ in 0..times {
                table.update(black_box(7), &mut |bytes| {
                    bytes[9] = bytes[9].wrapping_add(1);
                    true
                });
            }
        }
        "monotonic" => {
            for _ in 0..times {
                black_box(process::monotonic());
            }
        }
        "wall" => {
            for _ in 0..times {
                black_box(process::wall());
            }
        }
        "version" => {
            let value = SharedBytes::open("key");
            for _ in 0..times {
                black_box(black_box(&value).version());
            }
        }
        "rs256" => verify(
            times,
            include_bytes!("../../host/src/signature/rsa.der"),
            include_bytes!("../../host/src/signature/rsa_sha256.sig"),
        ),
        "es256" => verify(
            times,
            include_bytes!("../../host/src/signature/p256.der"),
            include_bytes!("../../host/src/signature/p256.sig"),
        ),
        other => panic!("{other} is none of the services"),
    }
}

fn verify(times: u32, key: &[u8], good: &[u8]) {
    const TEXT: &[u8] = include_bytes!("../../host/src/signature/text");
    for _ in 0..times {
        let verdict = signature::verify(Hash::Sha256, black_box(key), TEXT, good);
        assert_eq!(verdict, Some(true));
    }
}
