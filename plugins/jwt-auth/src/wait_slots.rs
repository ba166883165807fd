//! How many requests wait.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_host::Gauge;

/// The most requests that wait in one worker. Each takes memory while it does.
const MAX_WAITING: u32 = 1_000;

/// The requests of one worker that wait.
#[derive(Debug)]
pub(crate) struct WaitSlots {
    count: Rc<Cell<u32>>,
    gauge: Gauge,
}

/// A request that waits. It is counted until it is dropped, which is also when its client goes away.
#[derive(Debug)]
pub struct WaitSlot {
    /// Since when, by the steady clock.
    pub(crate) since: u64,
    count: Rc<Cell<u32>>,
    gauge: Gauge,
}

impl WaitSlots {
    pub(crate) fn new(gauge: Gauge) -> Self {
        Self {
            count: Rc::default(),
            gauge,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count.get() >= MAX_WAITING
    }

    pub(crate) fn take(&self, since: u64) -> WaitSlot {
        self.count.set(self.count.get() + 1);
        self.gauge.add(1);
        WaitSlot {
            since,
            count: Rc::clone(&self.count),
            gauge: self.gauge,
        }
    }
}

impl Drop for WaitSlot {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
        self.gauge.add(-1);
    }
}
