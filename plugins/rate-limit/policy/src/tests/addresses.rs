//! Addresses as parts of keys.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::key::{Sent, counted, numbers};
use super::*;

fn by_address(key: Value, addresses: &[&str]) -> Vec<Option<usize>> {
    let requests: Vec<_> = addresses
        .iter()
        .map(|address| Sent {
            address,
            ..Sent::default()
        })
        .collect();
    counted(key, "share", &requests)
}

#[test]
fn addresses_count_without_port() {
    let found = by_address(
        json!(["remote_address"]),
        &[
            "192.0.2.1:1",
            "192.0.2.1:2",
            "192.0.2.2:1",
            "[::ffff:192.0.2.1]:3",
            "",
        ],
    );
    assert_eq!(found, numbers([0, 0, 2, 0, 4]));
}

#[test]
fn ipv6_counts_by_64_bits() {
    let found = by_address(
        json!(["remote_address"]),
        &[
            "[2001:db8::1]:1",
            "[2001:db8::ffff:1]:2",
            "[2001:db8:0:1::1]:1",
        ],
    );
    assert_eq!(found, numbers([0, 0, 2]));
}

#[test]
fn prefixes_can_be_chosen() {
    let found = by_address(
        json!([{"remote_address": {"v4": 24, "v6": 128}}]),
        &[
            "192.0.2.1:1",
            "192.0.2.200:1",
            "192.0.3.1:1",
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
        ],
    );
    assert_eq!(found, numbers([0, 0, 2, 3, 4]));
    let all = json!([{"remote_address": {"v4": 1, "v6": 1}}]);
    assert_eq!(
        by_address(all, &["1.0.0.1:1", "127.0.0.1:1", "128.0.0.1:1"]),
        numbers([0, 0, 2])
    );
}

/// Each connection has another port, which must not become part of the key, for any kind of address.
#[test]
fn no_kind_of_address_counts_with_its_port() {
    let found = by_address(
        json!(["remote_address"]),
        &[
            "[fe80::1%eth0]:1",
            "[fe80::1%eth0]:2",
            "/run/a.sock",
            "/run/b.sock",
            "what:1",
            "what:2",
        ],
    );
    assert_eq!(found, numbers([0, 0, 2, 3, 4, 4]));
}
