//! The memory of headers, from one callback to the next.

use std::cell::RefCell;

use portcullis_core::headers::{HeaderMap, Received};

/// Memory that no headers use. Streams of one worker take turns, so one piece is enough.
#[derive(Default)]
pub(crate) struct SpareMemory(RefCell<Received>);

impl SpareMemory {
    /// Lends the memory to headers that were neither read nor changed.
    pub(crate) fn lend_to(&self, headers: &mut HeaderMap) {
        if headers.is_unread() && !headers.has_memory() && !headers.is_changed() {
            headers.take_memory(&mut self.0.borrow_mut());
        }
    }

    /// Takes the memory of headers that nobody needs any more.
    pub(crate) fn take_back(&self, headers: &mut HeaderMap) {
        if headers.has_memory() {
            headers.give_memory(&mut self.0.borrow_mut());
        }
    }
}
