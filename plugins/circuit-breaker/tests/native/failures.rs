//! Circuits that cannot be read or written.

use proxy_wasm_native_host::Host;
use serde_json::{Value, json};

use super::{OPEN, VM, builder, config, counter, fails, gauges, ok, reason, status};

fn sensitive(on_error: &str) -> Value {
    let mut config = config(json!({"consecutive_failures": 1, "max_concurrent": 9,
        "half_open": {"permits": 1, "max_wait": "4s"}, "concurrent_lease": "4s"}));
    config["on_error"] = json!(on_error);
    config
}

/// Another writer always writes these values just before the plugin does.
fn contend(host: &Host, is_contended: fn(&[u8]) -> bool) {
    host.shared_data().before_each_write(move |data, attempt| {
        if is_contended(attempt.key.as_ref()) {
            let value = data.read(&attempt.vm_id, &attempt.key).unwrap_or_default();
            data.write(&attempt.vm_id, &attempt.key, &value);
        }
    });
}

fn is_snapshot(key: &[u8]) -> bool {
    key.ends_with(b"/board")
}

#[test]
fn a_request_passes_by_default_if_its_circuit_cannot_be_written() {
    let host = builder(&sensitive("allow")).start().unwrap();
    contend(&host, |_| true);
    assert_eq!(reason(&host, ok()), "");
    assert_eq!(
        (counter(&host, "errors"), counter(&host, "gave_up")),
        (1, 1)
    );
    host.shared_data().leave_writes_alone();
    assert_eq!(status(&host)["keys"], json!([]), "and leaves no trace");
}

#[test]
fn a_request_is_rejected_with_deny_if_its_circuit_cannot_be_written() {
    let host = builder(&sensitive("deny")).start().unwrap();
    contend(&host, |_| true);
    let rejected = host.send(ok());
    assert_eq!(rejected.status(), 503);
    assert_eq!(rejected.response().header_value("retry-after"), Some("1"));
    let details = rejected.code_details();
    assert_eq!(details.as_deref(), Some("circuit_unavailable{all}"));
}

#[test]
fn a_result_that_is_lost_holds_nothing_for_good() {
    let host = builder(&sensitive("allow")).start().unwrap();
    let mut stream = host.open_unfinished(ok());
    contend(&host, |_| true);
    stream.end();
    assert!(stream.is_over());
    host.shared_data().leave_writes_alone();
    assert_eq!(counter(&host, "errors"), 1);
    assert_eq!(status(&host)["keys"][0]["under_way"], 1);
    host.advance(OPEN);
    assert_eq!(status(&host)["keys"][0]["under_way"], 0);
}

/// The snapshot is for people and for other plugins; circuits do not need it.
#[test]
fn without_a_snapshot_circuits_work() {
    let host = builder(&sensitive("allow")).start().unwrap();
    contend(&host, is_snapshot);
    host.send(fails());
    assert_eq!(reason(&host, ok()), "circuit_open");
    assert_eq!(gauges(&host), (0, 0), "no snapshot could be written");
    assert!(counter(&host, "gave_up") > 0);
    host.shared_data().leave_writes_alone();
    host.advance(OPEN);
    host.send(fails());
    assert_eq!(gauges(&host), (2, 1), "and now it can");
}

#[test]
fn circuits_that_cannot_be_read_start_closed() {
    let host = builder(&sensitive("allow")).start().unwrap();
    host.send(fails());
    let data = host.shared_data();
    for key in data.keys(VM) {
        if key.ends_with("\0\0\0\0") || key.ends_with("/board") {
            data.write(VM, &key, b"\x7fnothing that anybody knows");
        }
    }
    assert_eq!(reason(&host, ok()), "");
    assert_eq!(
        (counter(&host, "malformed"), counter(&host, "errors")),
        (1, 0)
    );
}
