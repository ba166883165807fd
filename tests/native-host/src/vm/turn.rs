//! Turns of guests: many run at once, unless one may change what is the process's.
//!
//! The level of the crate `log` and the panic hook belong to the process. A module that sets them in
//! its initialisation, or when it starts and is configured, does so alone: no other guest notices, or
//! is taken for the one that did it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::local::as_host;
use crate::sync::lock;

/// The guests that run, and the highest bit for one that runs alone, or waits to.
static RUNNING: AtomicU32 = AtomicU32::new(0);
const ALONE: u32 = 1 << 31;

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
    static GUARD: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    AmongOthers,
    Alone,
}

/// A guest begins to run, among others.
pub(super) fn begin() {
    let one_more = |running: u32| (running & ALONE == 0).then_some(running + 1);
    let begun = wait(|| {
        let order = Ordering::AcqRel;
        RUNNING
            .fetch_update(order, Ordering::Acquire, one_more)
            .is_ok()
    });
    if begun {
        TURN.set(Turn::AmongOthers);
    }
}

/// A guest begins to run alone.
pub(super) fn begin_alone() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    GUARD.set(Some(lock(&ONE_AT_A_TIME)));
    RUNNING.fetch_or(ALONE, Ordering::AcqRel);
    wait(|| RUNNING.load(Ordering::Acquire) == ALONE);
    TURN.set(Turn::Alone);
}

/// Whether the guest of this thread runs alone.
pub(super) fn is_alone() -> bool {
    TURN.get() == Turn::Alone
}

/// The guest of this thread does not run any more, one way or the other.
pub(super) fn end() {
    match TURN.replace(Turn::None) {
        Turn::None => {}
        Turn::AmongOthers => {
            if RUNNING.fetch_sub(1, Ordering::AcqRel) == ALONE + 1 {
                wake();
            }
        }
        Turn::Alone => {
            RUNNING.fetch_and(!ALONE, Ordering::AcqRel);
            GUARD.take();
            wake();
        }
    }
}

/// Lets others have a turn while the guest does not run, because a host call does: a closure of the
/// test may start another host there. Says whether the guest has to [`begin`] again.
pub(super) fn pause() -> bool {
    let among_others = TURN.get() == Turn::AmongOthers;
    if among_others {
        end();
    }
    among_others
}

static WAITING: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

/// Lets those who wait look again.
fn wake() {
    drop(lock(&WAITING));
    CHANGED.notify_all();
}

/// Waits until something is so; not for ever, because a guest that never returns must not keep all
/// others from running. Says whether it is so.
fn wait(ready: impl Fn() -> bool) -> bool {
    const ENOUGH: Duration = Duration::from_secs(5);
    if ready() {
        return true;
    }
    // The wait needs the machine's clock, not the guest's.
    as_host(|| {
        let still = |(): &mut ()| !ready();
        let waited = CHANGED.wait_timeout_while(lock(&WAITING), ENOUGH, still);
        waited.is_ok_and(|(_, waited)| !waited.timed_out())
    })
}
