//! A pool of Envoys, each of which serves one world after the other.
//!
//! V8 needs two to five seconds of CPU time to compile a module for a new process, and none for a module that the process
//! has already loaded. So an Envoy that keeps modules loaded gets the filters of each world as new listeners, as from a
//! control plane. It loads the modules of its first world, and then takes worlds of these modules as long as there are
//! any. Nothing of one world reaches the next:
//!
//! - The plugins' state belongs to a `vm_id`, and each world has its own.
//! - Statistics of plugins end with the last VM that has them. An Envoy is taken again only when the VMs of
//!   its last world are gone, which takes two seconds; others are taken meanwhile.
//! - What services received is forgotten, and the log is read from where the world began.
//!
//! A world in which a VM must crash has its own Envoy. So has every world of the library, whose state no `vm_id` separates:
//! it is loaded at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_envoy_tests::envoy::{Builder, Envoy, RefusedListeners};
use portcullis_envoy_tests::patience::PATIENCE;
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
    /// The modules that it keeps loaded.
    modules: Modules,
    /// The time when it was returned.
    left: Instant,
}

/// Names of modules.
pub(crate) type Modules = BTreeSet<String>;

/// Tests wait most of the time, so several run at once (see `tests/run`). More Envoys than that, because each rests.
const ENOUGH: usize = 14;
/// The time for which VMs outlive their world: the drain time.
const REST: Duration = Duration::from_secs(2);
/// The time after which a world takes an Envoy that has yet to load one of its modules.
const PICKY: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Pool {
    pub(crate) const fn new() -> Self {
        Self {
            started: Mutex::new(0),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// An unused Envoy, without traces of its last world, for a world with these modules.
    ///
    /// # Panics
    ///
    /// If no Envoy becomes free: something keeps VMs alive.
    pub(crate) fn take(&self, modules: &Modules) -> Stage {
        let begun = Instant::now();
        loop {
            if let Some(stage) = self.take_idle(|stage| modules.is_subset(&stage.modules)) {
                return stage;
            }
            // One after the other, because each start uses both cores for a second.
            let starting = match self.started.try_lock() {
                Ok(started) => Some(started),
                // The last start failed, and so did its test.
                Err(TryLockError::Poisoned(started)) => Some(started.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(mut started) = starting.filter(|started| **started < ENOUGH) {
                let stage = Stage::start(modules.clone());
                *started += 1;
                return stage;
            }
            if begun.elapsed() > PICKY
                && let Some(mut stage) = self.take_idle(|_| true)
            {
                stage.modules.extend(modules.clone());
                return stage;
            }
            assert!(begun.elapsed() < 3 * PATIENCE, "no Envoy became free");
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn take_idle(&self, fits: impl Fn(&Stage) -> bool) -> Option<Stage> {
        let mut idle = self.idle();
        let rested = |stage: &Stage| stage.left.elapsed() >= REST && stage.is_clean();
        let index = idle.iter().position(|it| fits(it) && rested(it))?;
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
        Self::start(Modules::new())
    }

    fn start(modules: Modules) -> Self {
        let others = Cluster::ALL
            .into_iter()
            .filter(|it| *it != Cluster::Upstream);
        let services = others.map(|cluster| (cluster, Upstream::start(|_| Reply::new(200))));
        let services = BTreeMap::from_iter(services);
        Self {
            envoy: proxy(&services, &modules).start(),
            services,
            modules,
            left: Instant::now(),
        }
    }

    /// Replaces its filters by these, whose VMs have this id.
    pub(crate) fn replace_filters(
        &self,
        vm_id: &str,
        filters: &[Filter],
    ) -> Result<(), RefusedListeners> {
        let proxy = proxy(&self.services, &self.modules);
        let proxy = proxy::with_filters(proxy, vm_id, filters);
        self.envoy.replace_listeners(&proxy)
    }

    fn clear(&self) {
        let cleared = self.replace_filters("", &[]);
        cleared.expect("Envoy accepts listeners without filters");
    }

    fn is_clean(&self) -> bool {
        let stats = self.envoy.stats_like(&format!("^({VMS}|{ACTIVE})$"));
        let vms = self.modules.len() * VMS_OF_A_MODULE;
        stats.get(VMS) == Some(vms as u64) && stats.get(ACTIVE) == Some(0)
    }

    fn forget(&self) {
        self.envoy.upstream().reset();
        self.services.values().for_each(Upstream::reset);
    }
}

fn proxy(services: &BTreeMap<Cluster, Upstream>, modules: &Modules) -> Builder {
    let proxy = proxy::without_filters(services.iter());
    match modules.is_empty() {
        true => proxy,
        false => proxy::with_modules(proxy, modules),
    }
}

/// The gauge of active requests.
pub(crate) const ACTIVE: &str = "http.ingress.downstream_rq_active";
/// The gauge of VMs.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
/// For each `vm_id` and module: one that others are cloned from, and one on the main thread and on each of the two workers.
const VMS_OF_A_MODULE: usize = 4;
