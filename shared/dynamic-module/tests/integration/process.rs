//! Clocks and random numbers.

use std::thread;
use std::time::{Duration, SystemTime};

use portcullis_core::time::Nanos;
use portcullis_dynamic_module::process;

#[test]
fn the_monotonic_clock_advances_with_time() {
    let before = process::monotonic();
    thread::sleep(Duration::from_millis(20));
    let passed = process::monotonic() - before;
    assert!(passed >= Nanos::from_millis(20));
    assert!(passed < Nanos::from_secs(20));
    let mut last = process::monotonic();
    for _ in 0..10_000 {
        let now = process::monotonic();
        assert!(now >= last);
        last = now;
    }
}

#[test]
fn the_wall_clock_is_that_of_the_system() {
    let system = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let difference = process::wall() - Nanos::from(system);
    assert!(difference < Nanos::from_secs(10));
    assert!(Nanos::from(system) <= process::wall());
}

/// The steady clock shows the wall-clock time, as long as nobody sets that one.
#[test]
fn all_workers_read_the_same_steady_clock() {
    let offset = process::steady_offset();
    let steady = Nanos::new(process::monotonic().get().wrapping_add(offset));
    let wall = process::wall();
    assert!(wall - steady < Nanos::SECOND);
    assert!(steady - wall < Nanos::SECOND);
    let other = thread::spawn(process::steady_offset).join().unwrap();
    assert_eq!(other, offset);
}

#[test]
fn the_seed_is_random_and_stays() {
    let seeds: Vec<[u8; 16]> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| process::hash_seed().unwrap()))
            .collect();
        let workers = workers.into_iter();
        workers.map(|worker| worker.join().unwrap()).collect()
    });
    assert_ne!(seeds.first(), Some(&[0; 16]));
    for seed in &seeds {
        assert_eq!(Some(seed), seeds.first());
    }
    assert_eq!(process::hash_seed().ok().as_ref(), seeds.first());
}

#[test]
fn random_bytes_differ() {
    let mut first = [0; 32];
    let mut second = [0; 32];
    process::random(&mut first).unwrap();
    process::random(&mut second).unwrap();
    assert_ne!(first, second);
    assert_ne!(first.get(16..), Some(&[0; 16][..]));
    process::random(&mut []).unwrap();
}
