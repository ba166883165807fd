//! Workers on threads of their own that race for the same circuits.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};

use super::*;

const WORKERS: usize = 8;

/// Runs the workers, each with a policy of its own and all with one store, as in a proxy.
fn race<T: Send>(
    config: &Value,
    store: &MemoryStore,
    work: impl Fn(usize, &mut World) -> T + Sync,
) -> Vec<T> {
    store.race(WORKERS, |worker, store| {
        let mut world = World::new(config.clone());
        world.store = store;
        work(worker, &mut world)
    })
}

fn to_open(events: &[CircuitEvents]) -> usize {
    let transitions = events.iter().filter_map(|it| it.transition);
    transitions.filter(|it| it.to == Phase::Open).count()
}

/// Of all requests that arrive at the end of the open time, as many pass as there are permits.
#[test]
fn exactly_the_permits_pass_when_a_circuit_half_opens() {
    let config = one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 10, "half_open": {"permits": 5}
    }));
    for _ in 0..20 {
        let store = MemoryStore::default();
        let mut first = World::new(config.clone());
        first.store = store.clone();
        first.calls(10, &failure());
        let barrier = Barrier::new(WORKERS);
        let passed = race(&config, &store, |_, world| {
            world.advance(Nanos::from_secs(5));
            barrier.wait();
            let sent: Vec<_> = (0..8).map(|_| world.send(&[])).collect();
            sent.iter().filter(|one| !one.is_rejected()).count()
        });
        assert_eq!(passed.iter().sum::<usize>(), 5);
    }
}

/// Every result counts once: the circuit opens with exactly the failure that reaches the rate.
#[test]
fn no_result_is_lost() {
    let config = one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 2000, "window": {"type": "time", "size": "1h"}
    }));
    let store = MemoryStore::default();
    let events = race(&config, &store, |worker, world| {
        // One less than the minimum in total.
        let failures = if worker == 0 { 249 } else { 250 };
        world.calls(failures, &failure());
        world.events.clone()
    });
    assert_eq!(to_open(&events.concat()), 0);
    let mut last = World::new(config);
    last.store = store;
    last.call(failure());
    assert_eq!(last.transitions(), [opened(Cause::Rate)]);
}

/// Two hundred failures at once open a circuit once, not two hundred times.
#[test]
fn a_circuit_opens_once() {
    let config = one_breaker(json!({"consecutive_failures": 1}));
    let store = MemoryStore::default();
    let barrier = Barrier::new(WORKERS);
    let events = race(&config, &store, |_, world| {
        let sent: Vec<_> = (0..25).map(|_| world.send(&[])).collect();
        barrier.wait();
        for request in sent {
            world.end(request, failure());
        }
        world.events.clone()
    });
    assert_eq!(to_open(&events.concat()), 1);
}

#[test]
fn never_more_are_under_way_than_may_be() {
    let config = one_breaker(json!({"max_concurrent": 5}));
    let store = MemoryStore::default();
    let (under_way, most, passed) = (AtomicI64::new(0), AtomicI64::new(0), AtomicU32::new(0));
    race(&config, &store, |_, world| {
        for _ in 0..500 {
            let request = world.send(&[]);
            if request.is_rejected() {
                continue;
            }
            let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            passed.fetch_add(1, Ordering::Relaxed);
            std::thread::yield_now();
            under_way.fetch_sub(1, Ordering::SeqCst);
            world.end(request, success());
        }
    });
    assert!(most.into_inner() <= 5);
    assert!(passed.into_inner() > 500);
    let mut last = World::new(config);
    last.store = store;
    let room = (0..10).filter(|_| !last.send(&[]).is_rejected());
    assert_eq!(room.count(), 5, "nothing leaked");
}

/// Circuits open, become half-open and close throughout the race, while time passes: each half-open generation has at
/// most its permits, the transitions of a key follow each other in a valid order, and the gauge deltas add up.
#[test]
fn storms() {
    let config = one_breaker(json!({
        "key": [{"header": "x-tenant"}], "failure_rate": 60, "minimum_requests": 4,
        "consecutive_failures": 3, "max_concurrent": 6,
        "open": {"base": "2ms", "max": "8ms"}, "half_open": {"permits": 3, "max_wait": "1m"}
    }));
    let store = MemoryStore::default();
    let clock = AtomicU64::new(START.get());
    let table = World::new(config.clone()).policy.tables().next().unwrap();
    let mut shared = Shared::default();
    snapshot::begin(&mut shared.bytes, table);
    let shared = Mutex::new(shared);
    let events = race(&config, &store, |worker, world| {
        let mut under_way = Vec::new();
        for i in 0..2_000_usize {
            world.now = Nanos::new(clock.fetch_add(20_000, Ordering::Relaxed));
            let tenant = ((i * 7 + worker) % 4).to_string();
            let admission = world.send(&[("x-tenant", &tenant)]);
            share(&shared, table, admission.checks[0].effects());
            if !admission.is_rejected() {
                under_way.push(admission);
            }
            if under_way.len() > 2 || i % 3 == 0 {
                let Some(one) = (!under_way.is_empty()).then(|| under_way.remove(0)) else {
                    continue;
                };
                let ending = match (i / 300 + worker) % 3 {
                    0 => success(),
                    1 => failure(),
                    _ if i % 2 == 0 => failure(),
                    _ => abandoned(),
                };
                world.now = Nanos::new(clock.load(Ordering::Relaxed));
                let records = world.end(one, ending);
                share(&shared, table, &[records[0].effects.clone()]);
            }
        }
        for one in under_way {
            let records = world.end(one, success());
            share(&shared, table, &[records[0].effects.clone()]);
        }
        world.events.clone()
    });
    let count = |from, to| {
        let all = events.iter().flatten().filter_map(|it| it.transition);
        all.filter(|it| (it.from, it.to) == (from, to)).count()
    };
    let opened = count(Phase::Closed, Phase::Open) + count(Phase::HalfOpen, Phase::Open);
    let probed = count(Phase::Open, Phase::HalfOpen);
    let closed = count(Phase::HalfOpen, Phase::Closed);
    assert!(opened > 20 && closed > 5, "{opened} {probed} {closed}");
    assert_eq!(
        events
            .iter()
            .flatten()
            .map(|it| it.leases_expired)
            .sum::<u32>(),
        0
    );

    let mut last = World::new(config);
    last.store = store;
    last.now = Nanos::new(clock.into_inner());
    let phases: Vec<_> = (0..4)
        .map(|tenant| {
            last.advance(Nanos::new(1));
            let tenant = tenant.to_string();
            let admission = last.send(&[("x-tenant", &tenant)]);
            match admission.rejection().map(|it| it.reason) {
                Some(Reason::CircuitOpen) => Phase::Open,
                Some(Reason::HalfOpen) => Phase::HalfOpen,
                Some(other) => panic!("{other:?}: something leaked"),
                None => Phase::Closed,
            }
        })
        .collect();
    let open = phases.iter().filter(|phase| **phase == Phase::Open).count();
    let gauges = shared.into_inner().unwrap().gauges;
    // Circuits that could be probed were open until this request.
    let asked = last
        .transitions()
        .iter()
        .filter(|it| **it == HALF_OPEN)
        .count();
    assert_eq!(gauges.open_keys as usize, open + asked);
    assert_eq!(opened - probed, open + asked);
}

/// The snapshot that all workers share, and its gauges.
#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    gauges: snapshot::GaugeDelta,
}

/// Records the changes of one worker in the shared snapshot.
fn share(shared: &Mutex<Shared>, table: TableMetadata, effects: &[Effects]) {
    for change in effects.iter().flat_map(|effects| &effects.changes) {
        let mut shared = shared.lock().unwrap();
        let delta = snapshot::update(&mut shared.bytes, table.identity, change).outcome;
        shared.gauges.state += delta.state;
        shared.gauges.open_keys += delta.open_keys;
    }
}
