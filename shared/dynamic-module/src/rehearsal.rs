//! A rehearsal of the plugins with their example, which shows what metrics they may have.
//!
//! Envoy accepts new metrics only while it configures the filter, but the configuration of a route may bring plugins and
//! labels that the filter's own does not have. In a rehearsal, plugins define no metrics but the templates of theirs (see
//! [`metrics`](crate::metrics)), open no state, and log nothing.

use std::cell::Cell;

use portcullis_host::Chain;

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Creates the plugins of a chain with their example, and drops them.
pub(crate) fn run<C: Chain>() {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            IS_RUNNING.set(false);
        }
    }

    let Ok(config) = C::example() else {
        return;
    };
    IS_RUNNING.set(true);
    let end = End;
    drop(C::new(config));
    drop(end);
}

/// Whether plugins of this thread are only rehearsing.
pub(crate) fn is_running() -> bool {
    IS_RUNNING.get()
}
