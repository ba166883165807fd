//! Workers that race for the same blocks, on threads of their own.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::model::{History, Rate};
use super::refunds::longest_stretch;
use super::*;

const WORKERS: u64 = 8;

/// Runs the work on each worker, with a policy of its own on the shared store, as in a proxy.
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

fn sum(admitted: Vec<u32>) -> u32 {
    admitted.into_iter().sum()
}

#[test]
fn exactly_the_limit_is_admitted() {
    for algorithm in ["gcra", "sliding_window", "fixed_window"] {
        let rate = json!({"requests": 100, "per": "1h"});
        let config = one_limit(json!({"algorithm": algorithm, "rate": rate}));
        let store = MemoryStore::default();
        let admitted = race(&config, &store, |_, world| world.admitted(500, &[]));
        assert_eq!(sum(admitted), 100, "{algorithm}");
    }
}

/// The first requests of a key reach all workers at once, while nothing is stored.
#[test]
fn first_requests_of_new_keys_are_counted() {
    let config = one_limit(json!({"key": [{"header": "x-key"}]}));
    let store = MemoryStore::default();
    let admitted = race(&config, &store, |_, world| {
        let keys = (0..200).map(|key| key.to_string());
        keys.map(|key| world.admitted(2, &[("x-key", &key)])).sum()
    });
    assert_eq!(sum(admitted), 200);
}

/// The remaining capacity of a limit when no request is in progress, read with a request of cost 0.
fn left(config: &Value, store: &MemoryStore, name: &str) -> u32 {
    let mut world = World::new(config.clone());
    world.store = store.clone();
    let position = world.policy.limits().position(|own| own.as_str() == name);
    let evaluation = world.send(&[(":method", "POST"), ("x-cost", "0")]);
    let mut checks = evaluation.checks().iter();
    let check = checks.find(|check| Some(check.limit().index()) == position);
    check.unwrap().quota.unwrap().remaining
}

/// A wide limit before a narrow one, which denies most of the time, and one behind it.
#[test]
fn a_limit_that_denies_leaves_the_others_untouched() {
    for algorithm in ["gcra", "sliding_window", "fixed_window"] {
        let limit = |name: &str, requests: u32| {
            json!({"name": name, "algorithm": algorithm, "rate": {"requests": requests, "per": "1h"},
                "cost": {"header": "x-cost"}})
        };
        let config =
            json!({"limits": [limit("first", 1000), limit("narrow", 37), limit("last", 1000)]});
        let store = MemoryStore::default();
        let admitted = race(&config, &store, |_, world| world.admitted(2_000, &[]));
        assert_eq!(sum(admitted), 37, "{algorithm}");
        for name in ["first", "last"] {
            assert_eq!(left(&config, &store, name), 1000 - 37, "{algorithm} {name}");
        }
    }
}

/// Each of the limits sometimes denies. None is ever exceeded, and in the end all reservations for denied requests
/// are rolled back.
#[test]
fn no_limit_is_exceeded() {
    let config = json!({"limits": [
        {"name": "all", "rate": {"requests": 1000, "per": "1h"}, "cost": {"header": "x-cost"}},
        {"name": "posts", "match": {"methods": ["POST"]}, "rate": {"requests": 300, "per": "1h"},
            "cost": {"header": "x-cost"}},
        {"name": "clients", "key": [{"header": "x-client"}], "algorithm": "sliding_window",
            "rate": {"requests": 150, "per": "1h"}}
    ]});
    let store = MemoryStore::default();
    let (posts, all) = (AtomicU32::new(0), AtomicU32::new(0));
    let clients: [AtomicU32; 10] = Default::default();
    race(&config, &store, |worker, world| {
        for i in 0..1_000 {
            let client = ((i * 7 + worker * 3) % 10) as usize;
            let method = if i % 3 == 0 { "POST" } else { "GET" };
            let name = client.to_string();
            if world.admits(&[(":method", method), ("x-client", &name)]) {
                all.fetch_add(1, Ordering::Relaxed);
                clients[client].fetch_add(1, Ordering::Relaxed);
                posts.fetch_add(u32::from(method == "POST"), Ordering::Relaxed);
            }
        }
    });
    let [posts, all] = [posts, all].map(AtomicU32::into_inner);
    let clients = clients.map(AtomicU32::into_inner);
    assert!(all <= 1000 && posts <= 300, "{all} {posts}");
    assert!(
        clients.iter().all(|admitted| *admitted <= 150),
        "{clients:?}"
    );
    // There are far more than 1000 requests, so only a few were denied because of a reservation.
    assert!(all >= 950, "{all}");
    assert_eq!(left(&config, &store, "all"), 1000 - all);
    assert_eq!(left(&config, &store, "posts"), 300 - posts);
}

/// Time passes while the workers race, and each reads the clock before it reads the state.
#[test]
fn the_rate_holds_while_time_goes_on() {
    let config = json!({"limits": [
        {"name": "a", "rate": {"requests": 1000, "per": "1s"}, "burst": 20},
        {"name": "b", "rate": {"requests": 1, "per": "1ms"}, "burst": 15}
    ]});
    let clock = AtomicU64::new(START.get());
    let results = race(&config, &MemoryStore::default(), |_, world| {
        let (mut admitted, mut held) = (Vec::new(), Vec::new());
        for _ in 0..3_000 {
            world.now = Nanos::new(clock.fetch_add(5_000, Ordering::Relaxed));
            match world.send(&[]).is_denied() {
                false => admitted.push((world.now, 1)),
                true => held.push((world.now, Nanos::new(clock.load(Ordering::Relaxed)))),
            }
        }
        (admitted, held)
    });
    let (admitted, held): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let mut history = History(admitted.concat());
    history.0.sort();
    let slack = longest_stretch(held.concat());
    for burst in [20, 15] {
        let rate = Rate {
            requests: 1000,
            per: Nanos::SECOND,
            burst,
        };
        let excess = history.greatest_excess(rate, slack);
        assert!(
            excess <= i128::from(burst) * i128::from(Nanos::SECOND.get()),
            "{excess}"
        );
    }
    // 120 ms passed, in which 135 requests fit.
    assert!(history.0.len() >= 100, "{}", history.0.len());
}
