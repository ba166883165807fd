//! What a VM's thread knows of its host, and whether guest or host is running on it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::{Outcome, VmState, module, turn};
use crate::shared::Shared;
use crate::sync::lock;

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
    /// Set while a host call runs: a panic then is the host's own, or that of a test's closure.
    static IN_HOST: Cell<bool> = const { Cell::new(false) };
}

/// The host's end of a VM's thread.
pub(crate) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<Mutex<VmState>>,
    pub(super) outcomes: Sender<Outcome>,
}

impl Local {
    pub(super) fn install(self) {
        LOCAL.set(Some(self));
    }

    /// Makes this thread one that is no VM any more.
    pub(super) fn take() -> Option<Self> {
        LOCAL.take()
    }
}

/// Runs a host call with the VM that it comes from; not at all on a thread that is no VM (any more:
/// guests may call from destructors when their thread ends).
///
/// A test's closure that runs in the call may panic. The guest is in the midst of foreign functions
/// then, through which nothing may unwind; so the panic goes on in the test, which waits for the VM.
pub(crate) fn with_local<R>(call: impl FnOnce(&Shared, &mut VmState) -> R) -> Option<R> {
    let with = |local: &RefCell<Option<Local>>| {
        let local = local.borrow();
        let local = local.as_ref()?;
        IN_HOST.set(true);
        let paused = turn::pause();
        let run = || call(&local.shared, &mut lock(&local.state));
        let result = catch_unwind(AssertUnwindSafe(run));
        if let Err(payload) = result {
            give_up(local, payload);
        }
        if paused {
            turn::begin();
        }
        IN_HOST.set(false);
        result.ok()
    };
    LOCAL.try_with(with).ok().flatten()
}

/// Runs something of the host's own on a VM's thread.
pub(super) fn as_host<R>(run: impl FnOnce() -> R) -> R {
    let before = IN_HOST.replace(true);
    let result = run();
    IN_HOST.set(before);
    result
}

/// Hands a panic to the test that waits for this VM, and never returns.
fn give_up(local: &Local, payload: Box<dyn Any + Send>) -> ! {
    module::leave();
    // If nobody waits any more, there is nobody to tell.
    let _ = local.outcomes.send(Outcome::TestPanicked(payload));
    park()
}

/// The end of a VM's thread that must not be unwound.
pub(super) fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Whether the guest of a VM is running on this thread.
pub(super) fn is_guest() -> bool {
    let is_vm = LOCAL.try_with(|local| local.try_borrow().is_ok_and(|local| local.is_some()));
    is_vm.unwrap_or(false) && !IN_HOST.get()
}

/// What is shared between the VMs of this guest's host; nothing if no guest is running here.
pub(crate) fn of_the_guest<R>(read: impl FnOnce(&Shared) -> R) -> Option<R> {
    if !is_guest() {
        return None;
    }
    let with = |local: &RefCell<Option<Local>>| Some(read(&local.borrow().as_ref()?.shared));
    LOCAL.try_with(with).ok().flatten()
}
