//! Tables that are contended or corrupt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proxy_wasm_native_host::{Host, Request, SharedData};
use serde_json::{Value, json};

use super::{VM, admitted, builder, config, counter};

/// One limit, whose table is one block.
fn three(on_error: &str) -> Value {
    let mut config = config(json!([{"name": "all", "rate": {"requests": 3, "per": "1h"}}]));
    config["on_error"] = json!(on_error);
    config
}

/// Another worker writes the same bytes to the block just before the filter does, this many times.
fn contend(data: &SharedData, times: u32) {
    let left = Arc::new(AtomicU32::new(times));
    data.before_each_write(move |data, attempt| {
        let take = |left: u32| left.checked_sub(1);
        let is_block = attempt.key.starts_with("p/");
        if is_block
            && left
                .try_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
        {
            let value = data.read(&attempt.vm_id, &attempt.key).unwrap_or_default();
            data.write(&attempt.vm_id, &attempt.key, &value);
        }
    });
}

fn get(host: &Host) -> u16 {
    host.send(Request::get("/")).status()
}

#[test]
fn an_overtaken_update_is_repeated() {
    let host = builder(&three("deny")).start().unwrap();
    contend(host.shared_data(), 5);

    assert_eq!(get(&host), 200);

    assert_eq!(counter(&host, "all", "cas_retries"), 5);
    assert_eq!(counter(&host, "all", "gave_up"), 0);
    // The request counted once.
    assert_eq!(admitted(&host, &Request::get("/"), 3), 2);
}

#[test]
fn a_request_that_cannot_be_counted_is_allowed_by_default() {
    let host = builder(&three("allow")).start().unwrap();
    contend(host.shared_data(), u32::MAX);

    assert_eq!(admitted(&host, &Request::get("/"), 5), 5);

    assert_eq!(counter(&host, "all", "gave_up"), 5);
    assert_eq!(counter(&host, "all", "errors"), 5);
    assert_eq!(counter(&host, "all", "admitted"), 0);
    // None of the requests counted.
    host.shared_data().leave_writes_alone();
    assert_eq!(admitted(&host, &Request::get("/"), 4), 3);
}

#[test]
fn a_request_that_cannot_be_counted_is_denied_with_on_error_deny() {
    let host = builder(&three("deny")).start().unwrap();
    contend(host.shared_data(), u32::MAX);

    let denied = host.send(Request::get("/"));

    assert_eq!(denied.status(), 503);
    assert_eq!(denied.response().header_value("retry-after"), Some("1"));
    assert_eq!(
        denied.code_details().as_deref(),
        Some("rate_limited_unavailable{all}")
    );
    assert_eq!(counter(&host, "all", "gave_up"), 1);
    assert_eq!(counter(&host, "all", "errors"), 1);
    assert_eq!(counter(&host, "all", "reason=.=unavailable;.;denied"), 1);
    assert_eq!(counter(&host, "all", "reason=.=rate_limited;.;denied"), 0);
}

#[test]
fn a_table_that_cannot_be_read_starts_empty() {
    let host = builder(&three("deny")).start().unwrap();
    assert_eq!(admitted(&host, &Request::get("/"), 4), 3);

    let data = host.shared_data();
    let blocks: Vec<String> = data
        .keys(VM)
        .into_iter()
        .filter(|key| key.ends_with("\0\0\0\0"))
        .collect();
    assert_eq!(blocks.len(), 1);
    for block in &blocks {
        data.write(VM, block, b"\x7fno block of any version");
    }

    assert_eq!(counter(&host, "all", "malformed"), 0);
    assert_eq!(admitted(&host, &Request::get("/"), 4), 3);
    assert_eq!(counter(&host, "all", "malformed"), 1);
    assert_eq!(counter(&host, "all", "errors"), 0);
}

#[test]
fn versions_may_wrap() {
    let host = builder(&three("deny")).start().unwrap();
    host.shared_data().set_next_cas(u32::MAX - 1);
    assert_eq!(admitted(&host, &Request::get("/"), 5), 3);
}
