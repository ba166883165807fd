//! A worker's cache of its last writes saves reads, and is never trusted.

use std::time::Duration;

use proptest::prelude::*;
use proxy_wasm_native_host::{Host, Request, SharedData};
use serde_json::json;

use super::{VM, admitted, builder, config, with_key};

const LIMIT: usize = 20;

/// An Envoy of one worker that shares data.
fn host(data: &SharedData, limit: usize) -> Host {
    let limit = json!({
        "name": "all", "key": [{"header": "x-api-key"}], "rate": {"requests": limit, "per": "24h"},
    });
    let mut config = config(json!([limit]));
    // Few blocks, so that keys share them.
    config["max_keys"] = json!(32);
    let builder = builder(&config);
    builder.shared_data(data.clone()).start().unwrap()
}

fn reads(data: &SharedData) -> u64 {
    data.operations().reads_of_bytes
}

#[test]
fn a_single_writer_need_not_read() {
    let data = SharedData::new();
    let host = host(&data, LIMIT);
    host.send(with_key("a"));
    let before = reads(&data);

    assert_eq!(admitted(&host, &with_key("a"), LIMIT + 5), LIMIT - 1);

    assert_eq!(reads(&data), before);
    assert_eq!(data.operations().mismatches, 0);
}

#[test]
fn an_old_block_is_read_again() {
    let data = SharedData::new();
    let host = host(&data, LIMIT);
    host.send(with_key("a"));
    let before = reads(&data);

    host.advance(Duration::from_secs(60));
    host.send(with_key("a"));

    assert!(reads(&data) > before);
}

/// Two workers write the same block in turn.
#[test]
fn a_worker_that_always_guesses_wrong_stops_guessing() {
    let data = SharedData::new();
    let (one, other) = (host(&data, 1_000), host(&data, 1_000));
    let both = |times| {
        for _ in 0..times {
            one.send(with_key("a"));
            other.send(with_key("a"));
        }
    };
    both(100);
    let before = data.operations();

    both(50);

    let after = data.operations();
    assert_eq!(after.mismatches, before.mismatches);
    assert_eq!(after.reads_of_bytes, before.reads_of_bytes + 100);
}

/// Each worker has keys of its own, so no worker overwrites a cached block of another one, but the version counter
/// advances. The workers first take turns. Then one writes alone for long enough to assume that it is the only
/// writer, and the other one returns.
#[test]
fn a_single_writer_notices_another_one() {
    let data = SharedData::new();
    let limit = json!({
        "name": "all", "key": [{"header": "x-api-key"}], "rate": {"requests": 1_000, "per": "24h"},
    });
    let builder = builder(&config(json!([limit]))).workers(2);
    let host = builder.shared_data(data.clone()).start().unwrap();
    let send = |worker: usize, times| {
        for _ in 0..times {
            let key = with_key(&format!("key-of-worker-{worker}"));
            assert_eq!(host.worker(worker).send(key).status(), 200);
        }
    };
    let in_turn = |times| (0..times).for_each(|_| [0, 1].into_iter().for_each(|w| send(w, 1)));
    let costs = |act: &dyn Fn()| {
        let before = data.operations();
        act();
        let after = data.operations();
        (
            after.reads_of_bytes - before.reads_of_bytes,
            after.mismatches - before.mismatches,
        )
    };
    in_turn(10);
    assert_eq!(costs(&|| in_turn(50)), (0, 0));
    assert_eq!(costs(&|| send(0, 200)), (0, 0));

    let (reads, mismatches) = costs(&|| in_turn(200));

    assert!(
        mismatches <= 8,
        "{mismatches} wrong guesses of 400, {reads} reads of bytes"
    );
}

/// An event that affects shared data.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One of two Envoys receives a request with a key.
    Request { host: usize, key: usize },
    /// Other writers write an unrelated value this many times.
    Others(u32),
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..2_usize, 0..3_usize).prop_map(|(host, key)| Step::Request { host, key }),
        1 => (1..4_u32).prop_map(Step::Others),
        1 => (0..12_000_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With keys of the same block and of others, versions that wrap, and writes in between, no request is lost, and
    /// none is counted twice.
    #[test]
    fn guesses_lose_nothing(
        steps in steps(),
        versions_left in 0..700_u32,
        assume_to_be_alone in any::<bool>(),
    ) {
        let data = SharedData::new();
        data.set_next_cas(u32::MAX - versions_left);
        let hosts = [host(&data, LIMIT), host(&data, LIMIT)];
        if assume_to_be_alone {
            for host in &hosts {
                (0..100).for_each(|_| drop(host.send(with_key("another"))));
            }
        }
        let mut sent = [0; 3];
        for step in steps {
            match step {
                Step::Request { host, key } => {
                    let request: Request = with_key(&format!("key-{key}"));
                    let status = hosts[host].send(request).status();
                    sent[key] += 1;
                    let expected = if sent[key] > LIMIT { 429 } else { 200 };
                    prop_assert_eq!(status, expected, "request {} of key {}", sent[key], key);
                }
                Step::Others(times) => (0..times).for_each(|_| data.write(VM, "other", b"x")),
                Step::Wait(milliseconds) => {
                    for host in &hosts {
                        host.advance(Duration::from_millis(milliseconds));
                    }
                }
            }
        }
    }
}
