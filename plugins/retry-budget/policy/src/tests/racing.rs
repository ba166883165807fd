//! Workers on threads of their own that race for one ledger.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const WORKERS: u64 = 8;
const REQUESTS: u64 = 2_000;

/// Runs the workers, each with a policy of its own and all with one store, as in a proxy.
fn race<T: Send>(
    config: &Value,
    store: &MemoryStore,
    work: impl Fn(u64, &mut World) -> T + Sync,
) -> Vec<T> {
    store.race(WORKERS as usize, |worker, store| {
        let mut world = World::new(config.clone());
        world.store = store;
        work(worker as u64, &mut world)
    })
}

/// The balance of the budget, as a request that another filter answers sees it.
fn balance(config: &Value, store: &MemoryStore) -> u32 {
    let mut world = World::new(config.clone());
    world.store = store.clone();
    let mut evaluation = world.get();
    world.record(&mut evaluation, 0, 0);
    evaluation.balance().unwrap()
}

#[test]
fn a_total_failure_costs_exactly_the_ratio() {
    let config = one_budget(json!({"ratio": 20, "max_retries": 3}));
    let store = MemoryStore::default();
    let used = race(&config, &store, |_, world| world.fail(REQUESTS as u32));
    let used: u32 = used.into_iter().sum();
    let left = balance(&config, &store);
    assert_eq!(u64::from(used + left), WORKERS * REQUESTS / 5);
    // The retries that the last requests paid for.
    assert!(u64::from(left) <= WORKERS, "{left}");
}

/// Each worker has several requests under way at a time, which end in different ways.
#[test]
fn in_the_end_exactly_what_was_used_is_missing() {
    let config = one_budget(json!({"ratio": 20, "max_retries": 3}));
    let store = MemoryStore::default();
    let used = race(&config, &store, |worker, world| {
        let mut used = 0;
        for round in 0..REQUESTS / 10 {
            let mut under_way: Vec<_> = (0..10).map(|_| world.get()).collect();
            for (i, evaluation) in under_way.iter_mut().enumerate() {
                let retries = (worker + round + i as u64) % 7 / 2;
                let attempts = retries.min(evaluation.granted().into());
                used += world.record(evaluation, 1 + attempts, 0).used;
            }
        }
        used
    });
    let used: u32 = used.into_iter().sum();
    let deposited = (WORKERS * REQUESTS) as u32 * 20 / 100;
    assert!(used > deposited / 2, "{used} of {deposited}");
    assert_eq!(balance(&config, &store), deposited - used);
}

/// Time passes, deposits age, and workers read the clock before they change the ledger.
#[test]
fn the_bound_holds_while_time_goes_on() {
    const STEP: u64 = Nanos::MILLISECOND.get();
    let config = one_budget(json!({
        "ratio": 20, "window": "1s", "min_retries_per_second": 3, "max_retries": 3,
    }));
    let clock = AtomicU64::new(START.get());
    let used = race(&config, &MemoryStore::default(), |_, world| {
        let mut used = Vec::new();
        for _ in 0..REQUESTS {
            world.now = Nanos::new(clock.fetch_add(STEP, Ordering::Relaxed));
            used.push((world.now, world.fail(1)));
        }
        used
    });
    let mut used = used.concat();
    used.sort_unstable();
    // There is a request in each step. One with an old time counts in a newer bucket, later by the delay of its worker,
    // which is at most a few steps for each other worker.
    let late = Nanos::SECOND / 10;
    for start in (0..used.len()).step_by(97) {
        let mut retries = 0;
        for (end, count) in &used[start..] {
            retries += u64::from(*count);
            let length = *end - used[start].0 + late * 2;
            let requests = (length + Nanos::SECOND).get() / STEP;
            let allowed = requests / 5 + 3 * (length.floor_secs() + 2);
            assert!(retries <= allowed, "{retries} of {allowed}");
        }
    }
    // 16 seconds have passed.
    let total: u32 = used.iter().map(|(_, count)| count).sum();
    assert!((3_000..=3_200 + 3 * 17).contains(&total), "{total}");
}
