//! The timer of a root context.

use std::cell::Cell;
use std::time::Duration;

use portcullis_host::Error;

use crate::abi;

/// The time from the configuration to the first tick.
pub(crate) const FIRST_TICK: Duration = Duration::from_millis(1);

/// The timer of a root context. Envoy restarts it whenever its period is set.
#[derive(Default)]
pub(crate) struct Timer {
    /// Zero if it does not tick.
    period: Cell<Duration>,
}

impl Timer {
    /// Lets the next tick come after this time, and no more ticks after zero. The current context must be the root context
    /// or one of its streams.
    pub(crate) fn tick_after(&self, period: Duration) -> Result<(), Error> {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        let set = abi::set_tick_period(milliseconds);
        set.map_err(Error::of("proxy_set_tick_period_milliseconds"))?;
        self.period.set(period);
        Ok(())
    }

    /// Lets the next tick come after this time at the latest. A shorter or equal period stays as it is: callers that
    /// restarted the timer more often than it ticks would postpone the tick for ever.
    pub(crate) fn tick_within(&self, period: Duration) -> Result<(), Error> {
        let current = self.period.get();
        match current.is_zero() || current > period {
            true => self.tick_after(period),
            false => Ok(()),
        }
    }
}
