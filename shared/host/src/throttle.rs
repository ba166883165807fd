//! Warnings on the request path: useful once, harmful a thousand times a second.

use std::cell::{Cell, RefCell};

use crate::abi::Status;

/// Lets one warning through every ten seconds, and counts those that it held back.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Cell<Option<u64>>,
    held_back: Cell<u64>,
}

thread_local! {
    static WARNED_OF: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Warns that Envoy refuses a call, once in the life of a VM: for calls whose failure is counted each time,
/// or stands in the way of nothing.
pub(crate) fn warn_once(call: &'static str, status: Status) {
    let is_new = WARNED_OF.with_borrow_mut(|known| {
        let is_new = !known.contains(&call);
        if is_new {
            known.push(call);
        }
        is_new
    });
    if is_new {
        log::warn!("portcullis: {call}: {status:?} (this is the only warning of it)");
    }
}

const PERIOD_NANOS: u64 = 10_000_000_000;

impl Throttle {
    /// Whether to warn now: the number of warnings that were held back since the last one, or
    /// `None` to keep silent.
    pub(crate) fn admit(&self, now_nanos: u64) -> Option<u64> {
        let due = self
            .last
            .get()
            .is_none_or(|last| now_nanos.saturating_sub(last) >= PERIOD_NANOS);
        if due {
            self.last.set(Some(now_nanos));
            Some(self.held_back.take())
        } else {
            self.held_back.set(self.held_back.get().saturating_add(1));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_first_passes_and_the_next_tells_how_many_were_held_back() {
        let throttle = Throttle::default();
        assert_eq!(throttle.admit(0), Some(0));
        assert_eq!(throttle.admit(1), None);
        assert_eq!(throttle.admit(10 * SECOND - 1), None);
        assert_eq!(throttle.admit(10 * SECOND), Some(2));
        assert_eq!(throttle.admit(20 * SECOND), Some(0));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_open_the_gate() {
        let throttle = Throttle::default();
        assert_eq!(throttle.admit(50 * SECOND), Some(0));
        assert_eq!(throttle.admit(0), None);
    }
}
