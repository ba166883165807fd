//! Workers on threads of their own that race for the same value.
#![allow(
    clippy::disallowed_methods,
    reason = "threads stand for the workers of a proxy; the policy itself has none"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const WORKERS: u64 = 8;

/// A value with the number of its writes. A read and a write are two steps with a comparison between them, as in a
/// proxy.
#[derive(Default)]
struct SharedValue(Mutex<(Vec<u8>, u64)>);

impl SharedValue {
    fn read(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }

    fn update<T>(&self, edit: impl Fn(&mut Vec<u8>) -> Edit<T>) -> T {
        loop {
            let (mut bytes, version) = self.0.lock().unwrap().clone();
            let Edit { changed, outcome } = edit(&mut bytes);
            if !changed {
                return outcome;
            }
            // Other workers run here.
            std::thread::yield_now();
            let mut current = self.0.lock().unwrap();
            if current.1 == version {
                *current = (bytes, version + 1);
                return outcome;
            }
        }
    }
}

/// Each worker needs a document with at least this version, as requests with a token signed by a new key do, and
/// follows the schedule until there is one. Returns the number of fetches.
fn race(value: &SharedValue, wanted: u8, now: Nanos) -> u64 {
    let fetches = AtomicU64::new(0);
    let work = || {
        loop {
            let bytes = value.read();
            let view = View::read(&bytes);
            if view.body.first() >= Some(&wanted) {
                return;
            }
            let trigger = match view.freshness(&SCHEDULE, now) {
                Freshness::Never => Trigger::Due,
                _ => Trigger::Miss,
            };
            let known = view.generation;
            match value.update(|bytes| SCHEDULE.acquire(bytes, known, trigger, now)) {
                Acquired::Fetch { ticket, .. } => {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                    let body = [wanted];
                    let stored =
                        value.update(|bytes| SCHEDULE.succeed(bytes, ticket, now, &body, 0));
                    assert_eq!(stored, StoreResult::Changed);
                }
                Acquired::Held { .. } | Acquired::Changed => std::thread::yield_now(),
                Acquired::NotBefore(_) => panic!("the only fetch came too early"),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    fetches.into_inner()
}

#[test]
fn there_is_one_fetch_at_the_start_and_one_for_each_rotation() {
    for _ in 0..200 {
        let value = SharedValue::default();
        for rotation in 1..=3 {
            let now = START + MINUTE * u64::from(rotation);
            assert_eq!(race(&value, rotation, now), 1);
        }
    }
}

/// All workers together call a failing server once, not each of them.
#[test]
fn there_is_one_failure_for_all() {
    for _ in 0..200 {
        let value = SharedValue::default();
        let fetches = AtomicU64::new(0);
        let work = || match value.update(|bytes| SCHEDULE.acquire(bytes, 0, Trigger::Due, START)) {
            Acquired::Fetch { ticket, .. } => {
                fetches.fetch_add(1, Ordering::Relaxed);
                assert!(value.update(|bytes| SCHEDULE.fail(bytes, ticket, START, 0, None)));
            }
            Acquired::Held { .. } | Acquired::NotBefore(_) => {}
            Acquired::Changed => panic!("nothing was there"),
        };
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(work);
            }
        });
        assert_eq!(fetches.into_inner(), 1);
        assert_eq!(View::read(&value.read()).failures, 1);
    }
}
