//! Whether Envoy makes the calls that a plugin relies on.
//!
//! Envoy does not say that `capability_restriction_config` leaves a callback out: it never comes.

use std::cell::Cell;

use crate::abi;
use crate::exchange::Error;

/// By when the first tick has come, which is asked for at once: late enough for a worker that starts
/// with many listeners.
const FIRST_TICK_WITHIN_NANOS: u64 = 2_000_000_000;
/// For how long a plugin that did not hear how a stream ended takes it that it will not hear.
const TRY_AGAIN_AFTER_NANOS: u64 = 10_000_000_000;

/// What one instance has heard of Envoy.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// When the timer was set, if the plugin needs one.
    timed_since: Option<u64>,
    has_ticked: Cell<bool>,
    /// Why a request that waits could never go on.
    no_waiting: Cell<Option<Error>>,
    /// Why the plugin did not hear how the last stream ended, and since when.
    blind: Cell<Option<(Error, u64)>>,
}

impl Liveness {
    /// Of a plugin with a timer; `begun` says whether the timer was set, and whether this context can act
    /// on others.
    pub(crate) fn timed(begun: Result<(), Error>) -> Self {
        Self {
            timed_since: abi::monotonic_nanos().ok(),
            no_waiting: Cell::new(begun.err()),
            ..Self::default()
        }
    }

    pub(crate) fn ticked(&self) {
        self.has_ticked.set(true);
    }

    /// Requests that wait cannot be let go.
    pub(crate) fn cannot_resume(&self, error: Error) {
        self.no_waiting.set(Some(error));
    }

    /// Whether a request that waits will be looked at again. Without a timer it will not; nor is its
    /// patience known to end.
    pub(crate) fn check_waiting(&self) -> Result<(), Error> {
        if let Some(error) = self.no_waiting.get() {
            return Err(error);
        }
        if self.has_ticked.get() {
            return Ok(());
        }
        let now = abi::monotonic_nanos().map_err(Error::of("clock_time_get"))?;
        let is_overdue = self
            .timed_since
            .is_none_or(|since| now.saturating_sub(since) > FIRST_TICK_WITHIN_NANOS);
        match is_overdue {
            true => Err(Error::NotCalled("proxy_on_tick")),
            false => Ok(()),
        }
    }

    /// A stream has ended that the plugin had let pass: it heard how, or why not.
    pub(crate) fn ended(&self, heard: Result<(), Error>) {
        if heard.is_err() || self.blind.get().is_some() {
            let now = || abi::monotonic_nanos().unwrap_or_default();
            self.blind.set(heard.err().map(|error| (error, now())));
        }
    }

    /// Whether a plugin that depends on it hears how streams end, as far as is known. After a while it is
    /// tried again.
    pub(crate) fn check_ends(&self) -> Result<(), Error> {
        let Some((error, since)) = self.blind.get() else {
            return Ok(());
        };
        let now = abi::monotonic_nanos().map_err(Error::of("clock_time_get"))?;
        match now.saturating_sub(since) > TRY_AGAIN_AFTER_NANOS {
            true => Ok(()),
            false => Err(error),
        }
    }
}
