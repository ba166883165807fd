//! The queue of waiting requests.
//!
//! When the plugin wakes the requests, it judges all those again that are in the queue at that time, a slice in each
//! callback: no callback takes long, however many requests wait, and the worker serves other streams between the
//! slices. A request that has to wait longer joins the end of the queue, so the plugin judges no request twice
//! before it has judged every other one once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// A request that may wait.
pub trait Waiter {
    /// Judges the request, which is woken.
    fn judge_again(&self);
}

/// The waiting requests of one worker. A stream that ends leaves the queue.
#[derive(Default)]
pub(crate) struct WaitQueue(RefCell<Queue>);

/// The place of a request in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

#[derive(Default)]
struct Queue {
    waiters: BTreeMap<Turn, Weak<dyn Waiter>>,
    next: Turn,
    /// Requests with an earlier turn are woken.
    woken_before: Turn,
}

impl WaitQueue {
    /// Adds a request to the end of the queue.
    pub(crate) fn add(&self, waiter: Weak<dyn Waiter>) -> Turn {
        let queue = &mut *self.0.borrow_mut();
        let turn = queue.next;
        queue.next = Turn(turn.0 + 1);
        queue.waiters.insert(turn, waiter);
        turn
    }

    pub(crate) fn remove(&self, turn: Turn) {
        self.0.borrow_mut().waiters.remove(&turn);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().waiters.is_empty()
    }

    /// Wakes all requests.
    pub(crate) fn wake(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.woken_before = queue.next;
    }

    /// Whether there are woken requests that were not judged since.
    pub(crate) fn has_woken(&self) -> bool {
        let queue = self.0.borrow();
        let first = queue.waiters.first_key_value();
        first.is_some_and(|(turn, _)| *turn < queue.woken_before)
    }

    /// Removes the next woken request.
    pub(crate) fn next(&self) -> Option<Rc<dyn Waiter>> {
        let queue = &mut *self.0.borrow_mut();
        loop {
            let first = queue.waiters.first_entry()?;
            if *first.key() >= queue.woken_before {
                return None;
            }
            if let Some(waiter) = first.remove().upgrade() {
                return Some(waiter);
            }
        }
    }
}
