//! The first key that needs a block creates it, on any worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proxy_wasm_native_host::{Host, SharedData};
use serde_json::{Value, json};

use super::{VM, admitted, builder, config, counter, with_key};

fn limit(name: &str, requests: usize) -> Value {
    json!({"name": name, "key": [{"header": "x-api-key"}],
        "rate": {"requests": requests, "per": "24h"}})
}

/// An Envoy of one worker that shares data.
fn host(data: &SharedData, requests: usize) -> Host {
    let builder = builder(&config(json!([limit("per-key", requests)])));
    builder.shared_data(data.clone()).start().unwrap()
}

#[test]
fn a_table_that_nobody_uses_takes_no_memory() {
    let limits: Vec<Value> = (0..300).map(|n| limit(&format!("l{n}"), 10)).collect();
    let host = builder(&config(json!(limits))).workers(2).start().unwrap();
    let data = host.shared_data();
    let idle = data.size(VM);
    assert!(idle < 1_000, "{idle} bytes, {} keys", data.keys(VM).len());
    let writes = data.operations().writes;
    assert!(writes < 100, "{writes} writes to configure");

    assert_eq!(admitted(&host, &with_key("a"), 1), 1);

    // One block with one key for each limit.
    let used = data.size(VM) - idle;
    assert!(used <= 300 * 64, "{used} bytes");
    assert_eq!(counter(&host, "l299", "admitted"), 1);
}

/// Just before one of the writes that count a request, another worker counts a request with the same key. Both
/// requests count, whichever worker creates the block.
#[test]
fn two_workers_that_create_a_block_at_once_lose_no_count() {
    let mut interrupted = 0;
    for nth in 0..8 {
        let data = SharedData::new();
        let (one, other) = (host(&data, 2), Arc::new(host(&data, 2)));
        let writes = AtomicUsize::new(0);
        let interrupts = Arc::new(AtomicUsize::new(0));
        data.before_each_write({
            let (other, interrupts) = (other.clone(), interrupts.clone());
            move |_, _| {
                if writes.fetch_add(1, Ordering::Relaxed) == nth {
                    let status = other.send(with_key("a")).status();
                    interrupts.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                }
            }
        });

        let passed = admitted(&one, &with_key("a"), 1);

        data.leave_writes_alone();
        let passed = passed + interrupts.load(Ordering::Relaxed);
        interrupted += interrupts.load(Ordering::Relaxed);
        let more = admitted(&one, &with_key("a"), 3);
        assert_eq!(passed + more, 2, "another worker before write {nth}");
    }
    assert!(
        interrupted >= 2,
        "the other worker wrote in between {interrupted} times"
    );
}

/// A worker that disappears holds up no other one.
#[test]
fn no_worker_waits_for_one_that_is_gone() {
    let data = SharedData::new();
    let gone = host(&data, 2);
    assert_eq!(admitted(&gone, &with_key("a"), 1), 1);
    drop(gone);

    let new = host(&data, 2);
    assert_eq!(admitted(&new, &with_key("a"), 3), 1);
    assert_eq!(admitted(&new, &with_key("b"), 3), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Four workers and a few new keys: at some of its writes, a worker is overtaken by another one, which can be
    /// overtaken by a third. Versions may wrap. Every key gets exactly its limit.
    #[test]
    fn workers_that_overtake_each_other_lose_no_count(
        requests in proptest::collection::vec((0..4_usize, 0..4_usize), 1..40),
        overtakes in proptest::collection::vec(
            proptest::option::weighted(0.4, (0..4_usize, 0..4_usize)), 60),
        versions_left in 0..400_u32,
    ) {
        const LIMIT: usize = 3;
        let data = SharedData::new();
        data.set_next_cas(u32::MAX - versions_left);
        let hosts: Arc<Vec<Host>> = Arc::new((0..4).map(|_| host(&data, LIMIT)).collect());
        let passed: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
        let sent: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
        let send = {
            let (hosts, passed, sent) = (hosts.clone(), passed.clone(), sent.clone());
            move |worker: usize, key: usize| {
                let status = hosts[worker].send(with_key(&format!("key-{key}"))).status();
                sent[key].fetch_add(1, Ordering::Relaxed);
                passed[key].fetch_add(usize::from(status == 200), Ordering::Relaxed);
            }
        };
        let writes = AtomicUsize::new(0);
        let busy: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        let current = Arc::new(busy);
        data.before_each_write({
            let (send, current) = (send.clone(), current.clone());
            move |_, _| {
                let n = writes.fetch_add(1, Ordering::Relaxed);
                let Some(Some((worker, key))) = overtakes.get(n).copied() else {
                    return;
                };
                // A worker does one thing at a time.
                if current[worker].swap(1, Ordering::Relaxed) == 0 {
                    send(worker, key);
                    current[worker].store(0, Ordering::Relaxed);
                }
            }
        });
        for (worker, key) in requests {
            current[worker].store(1, Ordering::Relaxed);
            send(worker, key);
            current[worker].store(0, Ordering::Relaxed);
        }
        data.leave_writes_alone();

        for key in 0..4 {
            let (sent, passed) = (sent[key].load(Ordering::Relaxed), passed[key].load(Ordering::Relaxed));
            prop_assert_eq!(passed, sent.min(LIMIT), "key {} of {} requests", key, sent);
            let more = admitted(&hosts[0], &with_key(&format!("key-{key}")), LIMIT);
            prop_assert_eq!(passed + more, LIMIT, "key {} at the end", key);
        }
    }
}
