//! Requests that wait for something, and the order in which they are looked at again.
//!
//! Requests wait in a queue. When the plugin wakes them, all that are in the queue at that time are
//! looked at again, a slice at a time: no callback takes long however many there are, and whatever else
//! the worker has to do comes between the slices. A request that has to wait longer joins the end of
//! the queue, so none is looked at twice before every other one was looked at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// The requests of one root context that wait. A stream that has ended is gone from here.
#[derive(Debug)]
pub(crate) struct Waiting<S>(RefCell<Queue<S>>);

#[derive(Debug)]
struct Queue<S> {
    /// By turn.
    waiters: BTreeMap<u64, Waiter<S>>,
    /// The turn of each id.
    turns: BTreeMap<u32, u64>,
    next_turn: u64,
    /// Requests with an earlier turn were woken.
    woken_before: u64,
}

#[derive(Debug)]
struct Waiter<S> {
    /// Of its context.
    id: u32,
    stream: Weak<RefCell<S>>,
    is_complete: bool,
}

impl<S> Default for Waiting<S> {
    fn default() -> Self {
        Self(RefCell::new(Queue {
            waiters: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            woken_before: 0,
        }))
    }
}

impl<S> Waiting<S> {
    /// Adds a request at the end of the queue; `is_complete` if it has neither a body nor trailers.
    pub(crate) fn add(&self, id: u32, stream: &Rc<RefCell<S>>, is_complete: bool) {
        self.remove(id);
        let queue = &mut *self.0.borrow_mut();
        let turn = queue.next_turn;
        queue.next_turn += 1;
        let waiter = Waiter {
            id,
            stream: Rc::downgrade(stream),
            is_complete,
        };
        queue.waiters.insert(turn, waiter);
        queue.turns.insert(id, turn);
    }

    pub(crate) fn remove(&self, id: u32) {
        let queue = &mut *self.0.borrow_mut();
        if let Some(turn) = queue.turns.remove(&id) {
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

    /// Whether there are requests that were woken and not looked at since.
    pub(crate) fn has_woken(&self) -> bool {
        let queue = self.0.borrow();
        let first = queue.waiters.first_key_value();
        first.is_some_and(|(turn, _)| *turn < queue.woken_before)
    }

    /// Takes out the next request that was woken: its context, its stream, and whether it is complete.
    pub(crate) fn next(&self) -> Option<(u32, Rc<RefCell<S>>, bool)> {
        let queue = &mut *self.0.borrow_mut();
        loop {
            let first = queue.waiters.first_entry()?;
            if *first.key() >= queue.woken_before {
                return None;
            }
            let waiter = first.remove();
            queue.turns.remove(&waiter.id);
            if let Some(stream) = waiter.stream.upgrade() {
                return Some((waiter.id, stream, waiter.is_complete));
            }
        }
    }
}
