//! The limit on waiting requests.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_core::time::Nanos;
use portcullis_host::Gauge;

/// The most requests that wait in one worker. Each of them takes memory.
const MAX_WAITING: u32 = 1_000;

/// The slots for waiting requests of one worker.
#[derive(Debug)]
pub(crate) struct WaitSlots {
    count: Rc<Cell<u32>>,
    gauge: Gauge,
}

/// The slot of a request that waits. Dropping it frees the slot, also when the client disconnects.
#[derive(Debug)]
pub struct WaitSlot {
    /// The start of the wait, on the steady clock.
    pub(crate) since: Nanos,
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

    pub(crate) fn are_taken(&self) -> bool {
        self.count.get() >= MAX_WAITING
    }

    pub(crate) fn take(&self, since: Nanos) -> WaitSlot {
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
