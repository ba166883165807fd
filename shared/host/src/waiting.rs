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
    /// By turn: the ids of their contexts, and their streams.
    streams: BTreeMap<u64, (u32, Weak<RefCell<S>>)>,
    /// The turn of each id.
    turns: BTreeMap<u32, u64>,
    next_turn: u64,
    /// Requests with an earlier turn were woken.
    woken_before: u64,
}

impl<S> Default for Waiting<S> {
    fn default() -> Self {
        Self(RefCell::new(Queue {
            streams: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            woken_before: 0,
        }))
    }
}

impl<S> Waiting<S> {
    pub(crate) fn add(&self, id: u32, stream: &Rc<RefCell<S>>) {
        self.remove(id);
        let queue = &mut *self.0.borrow_mut();
        let turn = queue.next_turn;
        queue.next_turn += 1;
        queue.streams.insert(turn, (id, Rc::downgrade(stream)));
        queue.turns.insert(id, turn);
    }

    pub(crate) fn remove(&self, id: u32) {
        let queue = &mut *self.0.borrow_mut();
        if let Some(turn) = queue.turns.remove(&id) {
            queue.streams.remove(&turn);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().streams.is_empty()
    }

    /// Wakes all requests.
    pub(crate) fn wake(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.woken_before = queue.next_turn;
    }

    /// Whether there are requests that were woken and not looked at since.
    pub(crate) fn has_woken(&self) -> bool {
        let queue = self.0.borrow();
        let first = queue.streams.first_key_value();
        first.is_some_and(|(turn, _)| *turn < queue.woken_before)
    }

    /// Takes out the next request that was woken.
    pub(crate) fn next(&self) -> Option<(u32, Rc<RefCell<S>>)> {
        let queue = &mut *self.0.borrow_mut();
        loop {
            let first = queue.streams.first_entry()?;
            if *first.key() >= queue.woken_before {
                return None;
            }
            let (id, stream) = first.remove();
            queue.turns.remove(&id);
            if let Some(stream) = stream.upgrade() {
                return Some((id, stream));
            }
        }
    }
}
