//! Rate limits for log warnings: a warning on the request path helps once, and harms a thousand times a second.

use std::cell::{Cell, RefCell};

use portcullis_core::time::Nanos;

use crate::error::Error;

const PERIOD: Nanos = Nanos::from_secs(10);

/// Admits one warning every ten seconds, and counts the suppressed ones.
#[derive(Debug, Default)]
pub(crate) struct WarningLimiter {
    last: Cell<Option<Nanos>>,
    suppressed: Cell<u64>,
}

impl WarningLimiter {
    /// `None` to suppress a warning; otherwise the number of warnings that were suppressed since the last one.
    pub(crate) fn admit(&self, now: Nanos) -> Option<u64> {
        let due = self.last.get().is_none_or(|last| now - last >= PERIOD);
        if due {
            self.last.set(Some(now));
            Some(self.suppressed.take())
        } else {
            self.suppressed.set(self.suppressed.get().saturating_add(1));
            None
        }
    }
}

thread_local! {
    static WARNED_OF: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Warns once in the life of a worker that Envoy refuses a call. For calls whose failure is counted each time or blocks
/// nothing.
pub fn warn_once(error: Error) {
    let call = match error {
        Error::Host { call, .. } => call,
        _ => "",
    };
    let is_new = WARNED_OF.with_borrow_mut(|known| {
        let is_new = !known.contains(&call);
        if is_new {
            known.push(call);
        }
        is_new
    });
    if is_new {
        log::warn!("portcullis: {error} (further warnings of this call are suppressed)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_passes_and_the_next_has_the_number_of_suppressed_ones() {
        let warnings = WarningLimiter::default();
        assert_eq!(warnings.admit(Nanos::ZERO), Some(0));
        assert_eq!(warnings.admit(Nanos::new(1)), None);
        assert_eq!(warnings.admit(PERIOD - Nanos::new(1)), None);
        assert_eq!(warnings.admit(PERIOD), Some(2));
        assert_eq!(warnings.admit(PERIOD * 2), Some(0));
    }

    #[test]
    fn a_clock_that_goes_back_admits_no_warning() {
        let warnings = WarningLimiter::default();
        assert_eq!(warnings.admit(PERIOD * 5), Some(0));
        assert_eq!(warnings.admit(Nanos::ZERO), None);
    }
}
