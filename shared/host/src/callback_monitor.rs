//! Whether Envoy makes the callbacks that a plugin relies on.
//!
//! Envoy does not report that `capability_restriction_config` leaves a callback out: it simply never makes it.

use std::cell::Cell;

use portcullis_core::time::Nanos;

use crate::backend::backend;
use crate::error::{Callback, Error};

/// The first tick is requested at once. It counts as missing after this time, which allows for a worker that starts
/// with many listeners.
const FIRST_TICK_WITHIN: Nanos = Nanos::from_secs(2);
/// After a missed end of a stream, the plugin assumes for this long that it will miss further ones.
const RETRY_AFTER: Nanos = Nanos::from_secs(10);

/// The callbacks that one instance has received.
#[derive(Debug, Default)]
pub struct CallbackMonitor {
    /// When the timer was set, if the plugin needs one.
    timer_set_at: Option<Nanos>,
    has_ticked: Cell<bool>,
    /// Why a waiting request could never resume.
    cannot_wait: Cell<Option<Error>>,
    /// Why the plugin missed the end of the last stream, and when.
    missed_end: Cell<Option<(Error, Nanos)>>,
}

impl CallbackMonitor {
    /// For a plugin with a timer. `started` is an error if the timer could not be set, or if this context cannot
    /// act on others.
    pub fn with_timer(started: Result<(), Error>) -> Self {
        Self {
            timer_set_at: backend().monotonic_time().ok(),
            cannot_wait: Cell::new(started.err()),
            ..Self::default()
        }
    }

    /// For a host that makes every callback.
    pub fn complete() -> Self {
        Self {
            has_ticked: Cell::new(true),
            ..Self::default()
        }
    }

    /// Records a tick.
    pub(crate) fn ticked(&self) {
        self.has_ticked.set(true);
    }

    /// Records that Envoy refused to resume a waiting request.
    pub(crate) fn cannot_resume(&self, error: Error) {
        self.cannot_wait.set(Some(error));
    }

    /// Whether a request may wait. Without a timer it would never be judged again, and would never time out.
    pub(crate) fn check_waiting(&self) -> Result<(), Error> {
        if let Some(error) = self.cannot_wait.get() {
            return Err(error);
        }
        if self.has_ticked.get() {
            return Ok(());
        }
        let now = backend().monotonic_time()?;
        let is_overdue = self
            .timer_set_at
            .is_none_or(|set_at| now - set_at > FIRST_TICK_WITHIN);
        match is_overdue {
            true => Err(Error::NotCalled(Callback::Tick)),
            false => Ok(()),
        }
    }

    /// Records the end of a stream that the plugin let pass: whether the plugin learned how it ended.
    pub(crate) fn stream_ended(&self, observed: Result<(), Error>) {
        if observed.is_err() || self.missed_end.get().is_some() {
            let now = || backend().monotonic_time().unwrap_or_default();
            self.missed_end
                .set(observed.err().map(|error| (error, now())));
        }
    }

    /// Whether the plugin can expect to learn how streams end. After a missed end it tries again in a while.
    pub(crate) fn check_stream_end(&self) -> Result<(), Error> {
        let Some((error, missed_at)) = self.missed_end.get() else {
            return Ok(());
        };
        let now = backend().monotonic_time()?;
        match now - missed_at > RETRY_AFTER {
            true => Ok(()),
            false => Err(error),
        }
    }
}
