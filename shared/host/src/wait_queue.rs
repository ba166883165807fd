//! The queue of waiting requests.
//!
//! When the plugin wakes the requests, it judges all those again that are in the queue at that time, a slice in each
//! callback: no callback takes long, however many requests wait, and the worker serves other streams between the
//! slices. A request that has to wait longer joins the end of the queue, so the plugin judges no request twice
//! before it has judged every other one once.
//!
//! The plugin can also wake a single request by a call that it has made. It is then judged before all others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use smallvec::SmallVec;

use crate::call::CallId;
use crate::worker::Woken;

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

/// The calls that a waiting request has made.
pub(crate) type Calls = SmallVec<[CallId; 1]>;

#[derive(Default)]
struct Queue {
    waiters: BTreeMap<Turn, Waiting>,
    /// Those that were woken by their calls.
    called: BTreeMap<Turn, Weak<dyn Waiter>>,
    next: Turn,
    /// Requests with an earlier turn are woken.
    woken_before: Turn,
}

struct Waiting {
    waiter: Weak<dyn Waiter>,
    calls: Calls,
}

impl WaitQueue {
    /// Adds a request, which has made these calls, to the end of the queue.
    pub(crate) fn add(&self, waiter: Weak<dyn Waiter>, calls: Calls) -> Turn {
        let queue = &mut *self.0.borrow_mut();
        let turn = queue.next;
        queue.next = Turn(turn.0 + 1);
        queue.waiters.insert(turn, Waiting { waiter, calls });
        turn
    }

    pub(crate) fn remove(&self, turn: Turn) {
        let queue = &mut *self.0.borrow_mut();
        if queue.waiters.remove(&turn).is_none() {
            queue.called.remove(&turn);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let queue = self.0.borrow();
        queue.waiters.is_empty() && queue.called.is_empty()
    }

    /// Wakes requests.
    pub(crate) fn wake(&self, woken: &Woken) {
        let queue = &mut *self.0.borrow_mut();
        if woken.all {
            queue.woken_before = queue.next;
            return;
        }
        for call in &woken.callers {
            let mut waiters = queue.waiters.iter();
            let caller = waiters.find(|(_, it)| it.calls.contains(call));
            if let Some(turn) = caller.map(|(turn, _)| *turn)
                && let Some(Waiting { waiter, .. }) = queue.waiters.remove(&turn)
            {
                queue.called.insert(turn, waiter);
            }
        }
    }

    /// Whether there are woken requests that were not judged since.
    pub(crate) fn has_woken(&self) -> bool {
        let queue = self.0.borrow();
        let first = queue.waiters.first_key_value();
        !queue.called.is_empty() || first.is_some_and(|(turn, _)| *turn < queue.woken_before)
    }

    /// Removes the next woken request.
    pub(crate) fn next(&self) -> Option<Rc<dyn Waiter>> {
        let queue = &mut *self.0.borrow_mut();
        while let Some((_, waiter)) = queue.called.pop_first() {
            if let Some(waiter) = waiter.upgrade() {
                return Some(waiter);
            }
        }
        loop {
            let first = queue.waiters.first_entry()?;
            if *first.key() >= queue.woken_before {
                return None;
            }
            if let Some(waiter) = first.remove().waiter.upgrade() {
                return Some(waiter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Request {
        name: char,
        judged: Rc<Cell<String>>,
    }

    impl Waiter for Request {
        fn judge_again(&self) {
            let mut judged = self.judged.take();
            judged.push(self.name);
            self.judged.set(judged);
        }
    }

    /// Requests, and the names of those that were judged.
    #[derive(Default)]
    struct Requests {
        queue: WaitQueue,
        waiting: Vec<(Rc<Request>, Turn)>,
        judged: Rc<Cell<String>>,
    }

    impl Requests {
        fn add(&mut self, name: char, calls: &[u64]) {
            let judged = Rc::clone(&self.judged);
            let request = Rc::new(Request { name, judged });
            let waiter = Rc::downgrade(&request) as Weak<dyn Waiter>;
            let calls = calls.iter().copied().map(CallId::new).collect();
            let turn = self.queue.add(waiter, calls);
            self.waiting.push((request, turn));
        }

        fn wake(&self, all: bool, callers: &[u64]) {
            let callers = callers.iter().copied().map(CallId::new).collect();
            self.queue.wake(&Woken { all, callers });
        }

        fn judged(&self) -> String {
            while self.queue.has_woken() {
                match self.queue.next() {
                    Some(waiter) => waiter.judge_again(),
                    None => break,
                }
            }
            self.judged.take()
        }
    }

    fn four() -> Requests {
        let mut requests = Requests::default();
        for (name, calls) in [('a', &[][..]), ('b', &[1]), ('c', &[2, 3]), ('d', &[4])] {
            requests.add(name, calls);
        }
        requests
    }

    #[test]
    fn a_call_wakes_the_request_that_has_made_it() {
        let requests = four();
        requests.wake(false, &[3, 7]);
        assert_eq!(requests.judged(), "c");
        requests.wake(false, &[2, 3]);
        assert_eq!(requests.judged(), "");
        assert!(!requests.queue.is_empty());
    }

    #[test]
    fn those_who_called_come_before_all_others() {
        let mut requests = four();
        requests.wake(false, &[4, 1]);
        requests.wake(true, &[2]);
        requests.add('e', &[5]);
        assert_eq!(requests.judged(), "bdac");
        requests.wake(true, &[]);
        assert_eq!(requests.judged(), "e");
        assert!(requests.queue.is_empty());
    }

    #[test]
    fn a_request_that_ends_is_not_judged() {
        let mut requests = four();
        requests.wake(false, &[1, 4]);
        let (_, turn) = requests.waiting[1];
        requests.queue.remove(turn);
        requests.waiting.pop();
        assert_eq!(requests.judged(), "");
        assert!(!requests.queue.has_woken());
        requests.queue.remove(turn);
    }
}
