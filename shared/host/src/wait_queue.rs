//! The queue of waiting requests.
//!
//! When the plugin wakes the requests, it judges all those again that are in the queue at that time, a slice in each
//! callback: no callback takes long, however many requests wait, and the worker serves other streams between the
//! slices. A request that has to wait longer joins the end of the queue, so the plugin judges no request twice
//! before it has judged every other one once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// The waiting requests of one root context. A stream that ends leaves the queue.
#[derive(Debug)]
pub(crate) struct WaitQueue<S>(RefCell<Queue<S>>);

#[derive(Debug)]
struct Queue<S> {
    /// Keyed by turn.
    waiters: BTreeMap<u64, Waiter<S>>,
    /// The turn of each context.
    turns: BTreeMap<u32, u64>,
    next_turn: u64,
    /// Requests with an earlier turn are woken.
    woken_before: u64,
}

#[derive(Debug)]
struct Waiter<S> {
    context: u32,
    stream: Weak<RefCell<S>>,
    is_complete: bool,
}

impl<S> Default for WaitQueue<S> {
    fn default() -> Self {
        Self(RefCell::new(Queue {
            waiters: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            woken_before: 0,
        }))
    }
}

impl<S> WaitQueue<S> {
    /// Adds the request of a context to the end of the queue; `is_complete` if it has neither a body nor trailers.
    pub(crate) fn add(&self, context: u32, stream: &Rc<RefCell<S>>, is_complete: bool) {
        self.remove(context);
        let queue = &mut *self.0.borrow_mut();
        let turn = queue.next_turn;
        queue.next_turn += 1;
        let waiter = Waiter {
            context,
            stream: Rc::downgrade(stream),
            is_complete,
        };
        queue.waiters.insert(turn, waiter);
        queue.turns.insert(context, turn);
    }

    pub(crate) fn remove(&self, context: u32) {
        let queue = &mut *self.0.borrow_mut();
        if let Some(turn) = queue.turns.remove(&context) {
            queue.waiters.remove(&turn);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().waiters.is_empty()
    }

    /// Wakes all requests.
    pub(crate) fn wake(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.woken_before = queue.next_turn;
    }

    /// Whether there are woken requests that were not judged since.
    pub(crate) fn has_woken(&self) -> bool {
        let queue = self.0.borrow();
        let first = queue.waiters.first_key_value();
        first.is_some_and(|(turn, _)| *turn < queue.woken_before)
    }

    /// Removes the next woken request. Returns its context, its stream, and whether it is complete.
    pub(crate) fn next(&self) -> Option<(u32, Rc<RefCell<S>>, bool)> {
        let queue = &mut *self.0.borrow_mut();
        loop {
            let first = queue.waiters.first_entry()?;
            if *first.key() >= queue.woken_before {
                return None;
            }
            let waiter = first.remove();
            queue.turns.remove(&waiter.context);
            if let Some(stream) = waiter.stream.upgrade() {
                return Some((waiter.context, stream, waiter.is_complete));
            }
        }
    }
}
