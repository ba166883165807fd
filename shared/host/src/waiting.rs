//! Requests that wait for something, and the timer that runs meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// The requests of one root context that wait, by the ids of their contexts. A stream that has ended
/// is gone from here.
#[derive(Debug)]
pub(crate) struct Waiting<S>(RefCell<BTreeMap<u32, Waiter<S>>>);

/// A request that waits.
#[derive(Debug)]
struct Waiter<S> {
    stream: Weak<RefCell<S>>,
    /// Whether its headers are all there is of it.
    is_complete: bool,
}

impl<S> Default for Waiting<S> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<S> Waiting<S> {
    /// Adds a request; `is_complete` if its headers are all there is of it.
    pub(crate) fn add(&self, id: u32, stream: &Rc<RefCell<S>>, is_complete: bool) {
        let stream = Rc::downgrade(stream);
        let waiter = Waiter {
            stream,
            is_complete,
        };
        self.0.borrow_mut().insert(id, waiter);
    }

    pub(crate) fn remove(&self, id: u32) {
        self.0.borrow_mut().remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Takes all of them out, the oldest first.
    pub(crate) fn take(&self) -> impl Iterator<Item = (u32, Rc<RefCell<S>>, bool)> + use<S> {
        let waiters = self.0.take().into_iter();
        waiters.filter_map(|(id, waiter)| Some((id, waiter.stream.upgrade()?, waiter.is_complete)))
    }
}
