//! Workers that race for one lease, on threads of their own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::time::Nanos;
use portcullis_table::memory_store::MemoryStore;
use portcullis_table::{KeyHasher, Store as _};

use super::service::{Counting, Service};
use crate::fleet::lease::tests::LEASES;
use crate::fleet::lease::{Applied, Lease, Refusal, Step, Take, Ticket};

const WORKERS: usize = 8;
/// The start of a minute.
const START: Nanos = Nanos::from_secs(1_700_000_040);

/// A worker of a proxy, with its handle on the table.
struct Worker<'a> {
    store: MemoryStore,
    service: &'a Mutex<Service>,
    clock: &'a AtomicU64,
    calls: u32,
    wasted: u32,
}

impl Worker<'_> {
    /// The clock moves on by 10 µs with each reading.
    fn now(&self) -> Nanos {
        Nanos::new(self.clock.fetch_add(10_000, Ordering::Relaxed))
    }

    fn apply<T>(&mut self, key: u64, step: impl Fn(Lease) -> Step<T>) -> T {
        let mut hasher = KeyHasher::new(self.store.seed());
        hasher.part(&key.to_le_bytes());
        let hash = hasher.finish();
        let now = self.now();
        let applied: Applied<T> = self
            .store
            .update(0, hash.block(1), |block| {
                LEASES.apply(block, hash.tag(), now, &step)
            })
            .unwrap();
        self.wasted += applied.wasted;
        applied.outcome
    }

    /// Makes a call, and returns whether the waiting request passes.
    fn call(&mut self, key: u64, ticket: Ticket) -> bool {
        self.calls += 1;
        let sent = self.now();
        let (is_granted, answer) = self.service.lock().unwrap().call(key, ticket.hits, sent);
        let now = self.now();
        if is_granted {
            self.apply(key, |lease| LEASES.granted(lease, ticket, answer, now));
            return true;
        }
        match self.apply(key, |lease| LEASES.refused(lease, ticket, answer, 0, now)) {
            Refusal::AskLess(less) => self.call(key, less),
            Refusal::Denied { .. } => false,
        }
    }

    /// Sends one request, and waits as long as it takes.
    fn admits(&mut self, key: u64) -> bool {
        let since = self.now();
        loop {
            let now = self.now();
            match self.apply(key, |lease| LEASES.take(lease, 1, true, since, now)) {
                Take::Taken(_) => return true,
                Take::TakenAndRenew(_, ticket) => {
                    self.call(key, ticket);
                    return true;
                }
                Take::Ask(ticket) => return self.call(key, ticket),
                Take::WaitForOther { .. } => std::thread::yield_now(),
                Take::Denied { .. } => return false,
                Take::NoService => panic!("the service can be asked"),
            }
        }
    }
}

/// Lets all workers send requests, round-robin over the keys. Returns the admitted requests of each key, and calls.
fn race(service: &Mutex<Service>, keys: u64, requests: u64) -> (Vec<u32>, u32, u32) {
    let clock = AtomicU64::new(START.get() + 2 * Nanos::SECOND.get());
    let workers = MemoryStore::default().race(WORKERS, |_, store| {
        let mut worker = Worker {
            store,
            service,
            clock: &clock,
            calls: 0,
            wasted: 0,
        };
        let mut admitted = vec![0; keys as usize];
        for i in 0..requests {
            let key = i % keys;
            admitted[key as usize] += u32::from(worker.admits(key));
        }
        (admitted, worker.calls, worker.wasted)
    });
    let mut sum = (vec![0; keys as usize], 0, 0);
    for (admitted, calls, wasted) in workers {
        sum.0
            .iter_mut()
            .zip(admitted)
            .for_each(|(sum, own)| *sum += own);
        sum.1 += calls;
        sum.2 += wasted;
    }
    sum
}

#[test]
fn all_workers_together_get_exactly_what_the_service_granted() {
    let service = Mutex::new(Service::new(
        Counting::AddThenCompare,
        LEASES.requests,
        LEASES.per,
    ));
    let (admitted, calls, _) = race(&service, 1, 1_000);
    let service = service.into_inner().unwrap();
    let admitted = admitted[0];
    assert!(u64::from(admitted) <= service.granted);
    assert!(admitted <= LEASES.requests, "{admitted}");
    // A refused call loses what was left: less than a lease.
    assert!(admitted > LEASES.requests - LEASES.max, "{admitted}");
    assert!(calls < 200, "{calls}");
}

/// A limit that is not reached: every request passes, and hardly any call is for one request.
#[test]
fn one_worker_calls_for_all() {
    let service = Mutex::new(Service::new(
        Counting::AddThenCompare,
        1_000_000,
        LEASES.per,
    ));
    let (admitted, calls, _) = race(&service, 1, 5_000);
    assert_eq!(admitted[0], 40_000);
    assert!(calls < 1_000, "{calls}");
}

/// More keys than a block has slots: leases are evicted, and no key gains by that.
#[test]
fn eviction_admits_nothing_more() {
    let service = Mutex::new(Service::new(Counting::AddThenCompare, 50, LEASES.per));
    let (admitted, _, _) = race(&service, 40, 4_000);
    assert!(
        admitted.iter().all(|admitted| *admitted <= 50),
        "{admitted:?}"
    );
    assert!(
        admitted.iter().all(|admitted| *admitted > 0),
        "{admitted:?}"
    );
}
