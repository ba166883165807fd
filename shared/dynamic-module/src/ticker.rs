//! Ticks: a thread that wakes the main thread and the workers.
//!
//! The ABI has no timers. It has schedulers, which any thread may use to make Envoy call back in the thread of a
//! configuration (the main thread) or of a stream (its worker). One thread of this library sleeps for all of them, as
//! long as anything needs a tick.
//!
//! A tick is due once: the callback that it causes sets the next one. So a thread that is busy never finds two. Anything
//! else can only make the next tick come earlier: what happens more often than a tick would otherwise postpone it for ever.
//!
//! Every use of a scheduler, and its deletion, holds the lock of the [`Ticker`]. So when [`Ticks`] are dropped, no
//! event of theirs is on its way any more, and Envoy may end the thread that they belong to.
//!
//! One use is different: while Envoy takes an event for a configuration, it holds the configuration, and it may be the last
//! who does. Then the configuration ends within that use, and its ticks are dropped by the thread that has the lock. They
//! are [forgotten](Targets::use_schedulers) when the use is over, before the lock is free.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::abi::{self, ConfigPtr, FilterPtr, SchedulerPtr};
use crate::lock::lock;

/// The event of a tick.
const TICK: u64 = 1;
/// The event of calls that workers have handed over to the main thread.
pub(crate) const CALLS: u64 = 2;

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

    fn commit(&self, event: u64) {
        // SAFETY: it is deleted only when this value is dropped.
        unsafe { (self.commit)(self.ptr, event) }
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

    /// Sets the next tick, in place of the one that was set. This is for the tick itself; see
    /// [`tick_within`](Self::tick_within).
    pub(crate) fn tick_after(&self, time: Duration) {
        self.set_due(|_| now().checked_add(time));
    }

    /// Sets the next tick, unless an earlier one is set.
    pub(crate) fn tick_within(&self, time: Duration) {
        let latest = now().checked_add(time);
        self.set_due(|due| due.into_iter().chain(latest).min());
    }

    fn set_due(&self, next: impl FnOnce(Option<Instant>) -> Option<Instant>) {
        let mut targets = TICKER.lock();
        let Some(target) = targets.all.get_mut(&self.id) else {
            return;
        };
        let due = next(target.due);
        target.due = due;
        let wakes_itself = match (due, targets.wakes_at) {
            (Some(due), Some(wakes_at)) => wakes_at <= due,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !(targets.is_running && wakes_itself) {
            TICKER.wake(targets);
        }
    }

    /// Causes a tick now, in addition to the one that is set.
    pub(crate) fn tick_now(&self) {
        tick_now(self.id);
    }

    /// Makes the main thread make the calls of workers, if these are its ticks.
    pub(crate) fn make_calls(&self) {
        commit(self.id, CALLS);
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

/// Causes a tick now, unless the ticks with this id have been dropped.
pub(crate) fn tick_now(id: u64) {
    commit(id, TICK);
}

fn commit(id: u64, event: u64) {
    TICKER.lock().use_schedulers(|all| {
        if let Some(target) = all.get(&id) {
            target.scheduler.commit(event);
        }
    });
}

thread_local! {
    /// The ticks that were dropped while this thread uses schedulers; `None` if it uses none.
    static DROPPED: RefCell<Option<Vec<u64>>> = const { RefCell::new(None) };
}

impl Drop for Ticks {
    fn drop(&mut self) {
        let is_noted = DROPPED.with_borrow_mut(|dropped| match dropped {
            Some(dropped) => {
                dropped.push(self.id);
                true
            }
            None => false,
        });
        if !is_noted {
            TICKER.lock().remove(self.id);
        }
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
    /// When the thread wakes up by itself; `None` if it sleeps until it is woken.
    wakes_at: Option<Instant>,
}

impl Targets {
    /// Forgets ticks, and deletes their scheduler, under the lock.
    fn remove(&mut self, id: u64) {
        self.all.remove(&id);
        if self.all.is_empty() {
            // The thread ends with the last ticks.
            TICKER.changed.notify_one();
        }
    }

    /// Uses schedulers. Ticks that are dropped meanwhile in this thread, which has the lock, are forgotten afterwards.
    fn use_schedulers(&mut self, act: impl FnOnce(&mut BTreeMap<u64, Target>)) {
        DROPPED.set(Some(Vec::new()));
        act(&mut self.all);
        for id in DROPPED.take().unwrap_or_default() {
            self.remove(id);
        }
    }
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
        wakes_at: None,
    }),
    changed: Condvar::new(),
};

impl Ticker {
    fn lock(&self) -> MutexGuard<'_, Targets> {
        lock(&self.targets)
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
            targets.use_schedulers(|all| {
                for target in all.values_mut() {
                    match target.due {
                        Some(due) if due <= now => {
                            target.due = None;
                            target.scheduler.commit(TICK);
                        }
                        Some(due) => next = Some(next.map_or(due, |next| next.min(due))),
                        None => {}
                    }
                }
            });
            // Something that is not due yet may become due: the thread ends only with the last target.
            if targets.all.is_empty() {
                targets.is_running = false;
                return;
            }
            targets.wakes_at = next;
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

#[cfg(test)]
pub(crate) mod tests;
