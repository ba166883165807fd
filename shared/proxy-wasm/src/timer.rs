//! The timer of a root context.

use std::time::Duration;

use portcullis_host::Error;

use crate::abi;

/// The time from the configuration to the first tick.
pub(crate) const FIRST_TICK: Duration = Duration::from_millis(1);
/// Sets the timer of the current root context.
pub(crate) fn tick_after(period: Duration) -> Result<(), Error> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    let set = abi::set_tick_period(milliseconds);
    set.map_err(Error::of("proxy_set_tick_period_milliseconds"))
}
