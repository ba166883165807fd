//! Requests that wait for something, and the timer that runs meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// The requests of one root context that wait, by the ids of their contexts. A stream that has ended
/// is gone from here.
#[derive(Debug)]
pub(crate) struct Waiting<S>(RefCell<BTreeMap<u32, Weak<RefCell<S>>>>);

impl<S> Default for Waiting<S> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<S> Waiting<S> {
    pub(crate) fn add(&self, id: u32, stream: &Rc<RefCell<S>>) {
        self.0.borrow_mut().insert(id, Rc::downgrade(stream));
    }

    pub(crate) fn remove(&self, id: u32) {
        self.0.borrow_mut().remove(&id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Takes all of them out, the oldest first.
    pub(crate) fn take(&self) -> impl Iterator<Item = (u32, Rc<RefCell<S>>)> + use<S> {
        let streams = self.0.take().into_iter();
        streams.filter_map(|(id, stream)| Some((id, stream.upgrade()?)))
    }
}
