//! A pool of Envoys, each of which serves one world after the other.
//!
//! V8 needs more than a second of CPU time to compile a module for a new process, and none for a module that the process
//! has already loaded. So an Envoy that keeps all modules loaded gets the filters of each world as new listeners, as from
//! a control plane. Nothing of one world reaches the next:
//!
//! - The plugins' state belongs to a `vm_id`, and each world has its own.
//! - Statistics of plugins end with the last VM that has them. An Envoy is taken again only when the VMs of
//!   its last world are gone, which takes two seconds; others are taken meanwhile.
//! - What services received is forgotten, and the log is read from where the world began.
//!
//! A world in which a VM must crash has its own Envoy. So has every world of the library, whose state no `vm_id` separates:
//! it is loaded at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_envoy_tests::envoy::{Builder, Envoy, RefusedListeners};
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use portcullis_scenarios::{Cluster, Filter};

use crate::proxy;

/// The Envoys, and those that no world uses.
pub(crate) struct Pool {
    /// Number of Envoys. Locked while one starts.
    started: Mutex<usize>,
    idle: Mutex<Vec<Stage>>,
}

/// An Envoy and the services behind it.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    /// All but the upstream, which is the harness's.
    pub(crate) services: BTreeMap<Cluster, Upstream>,
    /// Whether it keeps all modules loaded.
    has_modules: bool,
    /// Its number of VMs without a world.
    vms: u64,
    /// The time when it was returned.
    left: Instant,
}

/// Tests wait most of the time, so several run at once (see `tests/run`).
const ENOUGH: usize = 12;
/// The time for which VMs outlive their world: the drain time.
const REST: Duration = Duration::from_secs(2);
/// If no Envoy is free after this time, something keeps VMs alive.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Pool {
    pub(crate) const fn new() -> Self {
        Self {
            started: Mutex::new(0),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// An unused Envoy, without traces of its last world.
    pub(crate) fn take(&self) -> Stage {
        let begun = Instant::now();
        loop {
            if let Some(stage) = self.take_idle() {
                return stage;
            }
            // One after the other, because each start uses both cores for seconds.
            let starting = match self.started.try_lock() {
                Ok(started) => Some(started),
                // The last start failed, and so did its test.
                Err(TryLockError::Poisoned(started)) => Some(started.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(mut started) = starting.filter(|started| **started < ENOUGH) {
                let stage = Stage::start(true);
                *started += 1;
                return stage;
            }
            assert!(begun.elapsed() < PATIENCE, "no Envoy became free");
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn take_idle(&self) -> Option<Stage> {
        let mut idle = self.idle();
        let rested = |stage: &Stage| stage.left.elapsed() >= REST && stage.is_clean();
        let index = idle.iter().position(rested)?;
        let stage = idle.remove(index);
        drop(idle);
        stage.forget();
        Some(stage)
    }

    /// Takes an Envoy back. After a failed test, the Envoy ends instead, and its log is printed.
    pub(crate) fn give_back(&self, mut stage: Stage) {
        if thread::panicking() {
            drop(stage);
            let started = self.started.lock();
            *started.unwrap_or_else(PoisonError::into_inner) -= 1;
            return;
        }
        stage.clear();
        stage.left = Instant::now();
        self.idle().push(stage);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Stage>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    /// For one world only.
    pub(crate) fn of_its_own() -> Self {
        Self::start(false)
    }

    fn start(has_modules: bool) -> Self {
        let others = Cluster::ALL
            .into_iter()
            .filter(|it| *it != Cluster::Upstream);
        let services = others.map(|cluster| (cluster, Upstream::start(|_| Reply::new(200))));
        let services = BTreeMap::from_iter(services);
        let mut stage = Self {
            envoy: proxy(&services, has_modules).start(),
            services,
            has_modules,
            vms: 0,
            left: Instant::now(),
        };
        // Waits until all workers have their VMs.
        stage.clear();
        stage.vms = stage.envoy.stats().get(VMS).unwrap_or_default();
        stage
    }

    /// Replaces its filters by these, whose VMs have this id.
    pub(crate) fn replace_filters(
        &self,
        vm_id: &str,
        filters: &[Filter],
    ) -> Result<(), RefusedListeners> {
        let proxy = proxy(&self.services, self.has_modules);
        let proxy = proxy::with_filters(proxy, vm_id, filters);
        self.envoy.replace_listeners(&proxy)
    }

    fn clear(&self) {
        let cleared = self.replace_filters("", &[]);
        cleared.expect("Envoy accepts listeners without filters");
    }

    fn is_clean(&self) -> bool {
        let stats = self.envoy.stats_like(&format!("^({VMS}|{ACTIVE})$"));
        stats.get(VMS) == Some(self.vms) && stats.get(ACTIVE) == Some(0)
    }

    fn forget(&self) {
        self.envoy.upstream().reset();
        self.services.values().for_each(Upstream::reset);
    }
}

fn proxy(services: &BTreeMap<Cluster, Upstream>, has_modules: bool) -> Builder {
    let proxy = proxy::without_filters(services.iter());
    match has_modules {
        true => proxy::with_all_modules(proxy),
        false => proxy,
    }
}

/// The gauge of active requests.
pub(crate) const ACTIVE: &str = "http.ingress.downstream_rq_active";
/// The gauge of VMs: for each `vm_id` and module, one, and one on each worker.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
