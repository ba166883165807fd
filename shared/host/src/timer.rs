//! The timer of a root context, and its periods.

use std::time::Duration;

use crate::abi;
use crate::error::Error;

/// The time from the configuration to the first tick.
pub(crate) const FIRST_TICK: Duration = Duration::from_millis(1);
/// The tick period while requests wait. It bounds the time after which a worker learns of a document that another
/// worker fetched.
pub(crate) const TICK_WHILE_WAITING: Duration = Duration::from_millis(20);
/// The tick period while woken requests are left to judge: the shortest that Envoy has. The worker serves other
/// streams between two ticks.
pub(crate) const TICK_WHILE_WOKEN: Duration = Duration::from_millis(1);

/// Sets the timer of the current root context.
pub(crate) fn tick_after(period: Duration) -> Result<(), Error> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    let set = abi::set_tick_period(milliseconds);
    set.map_err(Error::of("proxy_set_tick_period_milliseconds"))
}
