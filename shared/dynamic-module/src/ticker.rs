//! Ticks: a thread that wakes the main thread and the workers.
//!
//! The ABI has no timers. It has schedulers, which any thread may use to make Envoy call back in the thread of a
//! configuration (the main thread) or of a stream (its worker). One thread of this library sleeps for all of them, as
//! long as anything needs a tick.
//!
//! A tick is due once: the callback that it causes sets the next one. So a thread that is busy never finds two.
//!
//! Every use of a scheduler, and its deletion, holds the lock of the [`Ticker`]. So when [`Ticks`] are dropped, no
//! event of theirs is on its way any more, and Envoy may end the thread that they belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::abi::{self, ConfigPtr, FilterPtr, SchedulerPtr};

/// The only event of our schedulers.
const TICK: u64 = 1;

/// A scheduler of Envoy.
pub(crate) struct Scheduler {
    ptr: SchedulerPtr,
    commit: unsafe extern "C" fn(SchedulerPtr, u64),
    delete: unsafe extern "C" fn(SchedulerPtr),
}

// SAFETY: any thread may use and delete a scheduler.
unsafe impl Send for Scheduler {}

impl Scheduler {
    /// A scheduler of a configuration.
    ///
    /// # Safety
    /// The configuration lives, and this is the main thread.
    pub(crate) unsafe fn of_config(config: ConfigPtr) -> Self {
        Self {
            // SAFETY: as above.
            ptr: unsafe { abi::config_scheduler_new(config) },
            commit: abi::config_scheduler_commit,
            delete: abi::config_scheduler_delete,
        }
    }

    /// A scheduler of a stream.
    ///
    /// # Safety
    /// The filter lives, and this is its thread.
    pub(crate) unsafe fn of_filter(filter: FilterPtr) -> Self {
        Self {
            // SAFETY: as above.
            ptr: unsafe { abi::filter_scheduler_new(filter) },
            commit: abi::filter_scheduler_commit,
            delete: abi::filter_scheduler_delete,
        }
    }

    fn commit(&self) {
        // SAFETY: it is deleted only when this value is dropped.
        unsafe { (self.commit)(self.ptr, TICK) }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // SAFETY: nobody uses it afterwards.
        unsafe { (self.delete)(self.ptr) }
    }
}

/// The ticks of one configuration or stream.
pub(crate) struct Ticks {
    id: u64,
}

impl Ticks {
    /// Without a tick for now.
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        let mut targets = TICKER.lock();
        let id = targets.next_id;
        targets.next_id += 1;
        targets.all.insert(
            id,
            Target {
                scheduler,
                due: None,
            },
        );
        Self { id }
    }

    /// Sets the next tick, in place of the one that was set.
    pub(crate) fn tick_after(&self, time: Duration) {
        let mut targets = TICKER.lock();
        if let Some(target) = targets.all.get_mut(&self.id) {
            target.due = now().checked_add(time);
        }
        TICKER.wake(targets);
    }

    /// Causes a tick now, in addition to the one that is set.
    pub(crate) fn tick_now(&self) {
        if let Some(target) = TICKER.lock().all.get(&self.id) {
            target.scheduler.commit();
        }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        TICKER.lock().all.remove(&self.id);
        // The thread ends with the last ticks.
        TICKER.changed.notify_one();
    }
}

/// The thread, and all ticks.
struct Ticker {
    targets: Mutex<Targets>,
    changed: Condvar,
}

struct Targets {
    all: BTreeMap<u64, Target>,
    next_id: u64,
    is_running: bool,
}

struct Target {
    scheduler: Scheduler,
    due: Option<Instant>,
}

static TICKER: Ticker = Ticker {
    targets: Mutex::new(Targets {
        all: BTreeMap::new(),
        next_id: 0,
        is_running: false,
    }),
    changed: Condvar::new(),
};

impl Ticker {
    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the thread look again, and starts it if it does not run.
    fn wake(&'static self, mut targets: MutexGuard<'_, Targets>) {
        if targets.is_running {
            self.changed.notify_one();
            return;
        }
        let thread = thread::Builder::new().name("portcullis".to_owned());
        match thread.spawn(|| self.run()) {
            Ok(_) => targets.is_running = true,
            Err(error) => log::error!("portcullis: no thread for timers: {error}"),
        }
    }

    /// Runs until nothing is due any more.
    fn run(&self) {
        let mut targets = self.lock();
        loop {
            let now = now();
            let mut next: Option<Instant> = None;
            for target in targets.all.values_mut() {
                match target.due {
                    Some(due) if due <= now => {
                        target.due = None;
                        target.scheduler.commit();
                    }
                    Some(due) => next = Some(next.map_or(due, |next| next.min(due))),
                    None => {}
                }
            }
            // Something that is not due yet may become due: the thread ends only with the last target.
            if targets.all.is_empty() {
                targets.is_running = false;
                return;
            }
            targets = match next {
                Some(next) => {
                    let wait = next.saturating_duration_since(now);
                    let woken = self.changed.wait_timeout(targets, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(targets);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread sleeps by this clock")]
fn now() -> Instant {
    Instant::now()
}

/// The ticks of a worker while requests wait there: those of one of the waiting streams, because only a stream can
/// make Envoy call back in a worker.
#[derive(Default)]
pub(crate) struct Waiting {
    filters: BTreeSet<usize>,
    carrier: Option<(usize, Ticks)>,
}

impl Waiting {
    /// A stream begins to wait.
    ///
    /// # Safety
    /// The filter lives until [`remove`](Self::remove), and this is its thread.
    pub(crate) unsafe fn add(&mut self, filter: FilterPtr, time: Duration) {
        self.filters.insert(filter as usize);
        // SAFETY: as above.
        unsafe { self.tick_after(time) }
    }

    /// A stream no longer waits, and may end. If the ticks came through it, another waiting stream takes over, because
    /// no further request may come.
    ///
    /// # Safety
    /// This is the thread of all waiting streams.
    pub(crate) unsafe fn remove(&mut self, filter: FilterPtr, time: Duration) {
        let filter = filter as usize;
        self.filters.remove(&filter);
        if self.carrier.take_if(|(it, _)| *it == filter).is_some() {
            // SAFETY: as above.
            unsafe { self.tick_after(time) }
        }
    }

    /// Sets the next tick, if a stream waits.
    ///
    /// # Safety
    /// This is the thread of all waiting streams.
    pub(crate) unsafe fn tick_after(&mut self, time: Duration) {
        let Some(first) = self.filters.first() else {
            return;
        };
        let (_, ticks) = self.carrier.get_or_insert_with(|| {
            // SAFETY: the filter waits, so it lives.
            let scheduler = unsafe { Scheduler::of_filter(*first as FilterPtr) };
            (*first, Ticks::new(scheduler))
        });
        ticks.tick_after(time);
    }
}
