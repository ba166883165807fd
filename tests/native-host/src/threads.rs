//! The threads of a host, which the host and the streams of its clients drive.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use crate::shared::Shared;
use crate::sync::lock;
use crate::worker::Worker;

/// The main thread and the workers.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) shared: Arc<Shared>,
    pub(crate) main: Mutex<Worker>,
    pub(crate) workers: Vec<Mutex<Worker>>,
}

impl Threads {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Mutex<Worker>> {
        [&self.main].into_iter().chain(&self.workers)
    }

    /// Does something on a worker, and then what follows from it on other threads.
    pub(crate) fn on_worker<R>(&self, index: usize, act: impl FnOnce(&mut Worker) -> R) -> R {
        let result = act(&mut lock(&self.workers[index]));
        self.run_posted();
        result
    }

    /// Runs what was posted from one thread to another. What is posted to a thread that is busy, it
    /// finds by itself when it is done.
    pub(crate) fn run_posted(&self) {
        while self.shared.queues.has_posts() {
            let ran = self
                .all()
                .filter_map(idle)
                .any(|mut worker| worker.run_posts());
            if !ran {
                return;
            }
        }
    }

    /// When something is due next, on any thread.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.all()
            .filter_map(|worker| lock(worker).next_due())
            .min()
    }
}

/// The worker, unless another thread of the test is using it.
fn idle(worker: &Mutex<Worker>) -> Option<MutexGuard<'_, Worker>> {
    match worker.try_lock() {
        Ok(worker) => Some(worker),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
