//! The configuration and the filter whose callback runs in this thread.
//!
//! Plugins count and call without saying for which configuration, because a WebAssembly VM has only one. Here each
//! callback says it, on entry.

use std::cell::Cell;
use std::ptr::{null, null_mut};

use crate::abi::FilterPtr;
use crate::services::Services;

/// What the callback acts for.
#[derive(Clone, Copy)]
struct Current {
    services: *const Services,
    /// Null outside of streams.
    filter: FilterPtr,
}

thread_local! {
    static CURRENT: Cell<Current> = const {
        Cell::new(Current {
            services: null(),
            filter: null_mut(),
        })
    };
}

/// Ends the callback when it is dropped. Envoy may call back within a call, so callbacks nest.
pub(crate) struct Entered<'a> {
    /// That of this thread, where the value stays.
    current: *const Cell<Current>,
    before: Current,
    _services: &'a Services,
}

/// Begins a callback for a configuration; `filter` is null outside of streams.
pub(crate) fn enter(services: &Services, filter: FilterPtr) -> Entered<'_> {
    CURRENT.with(|current| Entered {
        current,
        before: current.replace(Current { services, filter }),
        _services: services,
    })
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // SAFETY: the pointer makes this value stay in its thread, which does not end within a callback.
        unsafe { &*self.current }.set(self.before);
    }
}

/// Does something with the services of the current configuration and the current filter; `None` outside of callbacks.
pub(crate) fn with<T>(act: impl FnOnce(&Services, FilterPtr) -> T) -> Option<T> {
    let current = CURRENT.get();
    // SAFETY: `Entered` borrows the services for as long as they are current.
    let services = unsafe { current.services.as_ref()? };
    Some(act(services, current.filter))
}
