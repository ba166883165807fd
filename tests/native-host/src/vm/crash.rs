//! What happens when a guest panics.
//!
//! In WebAssembly a panic is a trap: nothing is unwound, no destructor runs, the VM is dead. Here
//! the guest runs on a thread, and a panic may not even leave the SDK's `extern "C"` functions: that
//! would abort the test process. So a guest's panic is stopped where it would begin to unwind: the
//! worker that waits for the call is told, and the thread is parked for ever. One leaked thread is
//! the price of a simulated crash.
//!
//! The panic hook, which runs just before, cannot be the place for that: the standard library keeps
//! the hook locked while it runs, and the test harness wants that lock when it ends. The next place
//! is the unwinder's entry point, which is why this file [defines it](_Unwind_RaiseException).

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::mpsc::Sender;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Once};

use super::{Outcome, VmState};
use crate::logs::{LogLevel, LogLine};
use crate::shared::Shared;
use crate::sync::lock;

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
    /// Set while a host call runs: a panic then is the host's own, or that of a test's closure.
    static IN_HOST: Cell<bool> = const { Cell::new(false) };
    /// What the guest's panic said.
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
    static INITIALISING: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// What a VM's thread knows of its host.
pub(crate) struct Local {
    shared: Arc<Shared>,
    state: Arc<Mutex<VmState>>,
    outcomes: Sender<Outcome>,
}

impl Local {
    pub(super) fn new(
        shared: Arc<Shared>,
        state: Arc<Mutex<VmState>>,
        outcomes: Sender<Outcome>,
    ) -> Self {
        Self {
            shared,
            state,
            outcomes,
        }
    }

    pub(super) fn install(self) {
        LOCAL.set(Some(self));
    }
}

/// Runs a host call with the VM that it comes from; not at all on a thread that is no VM (any more:
/// guests may call from destructors when their thread ends).
pub(crate) fn with_local<R>(call: impl FnOnce(&Shared, &mut VmState) -> R) -> Option<R> {
    let with = |local: &RefCell<Option<Local>>| {
        let local = local.borrow();
        let local = local.as_ref()?;
        IN_HOST.set(true);
        let result = call(&local.shared, &mut lock(&local.state));
        IN_HOST.set(false);
        Some(result)
    };
    LOCAL.try_with(with).ok().flatten()
}

/// Runs the module's initialisation, one at a time in the process: the SDK's `set_log_level` cannot
/// be called for the first time on two threads at once.
pub(super) fn initialise(init: fn()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    INITIALISING.set(Some(lock(&ONE_AT_A_TIME)));
    init();
    INITIALISING.take();
}

/// Keeps the standard hook from printing the panics of guests, which go to the host's log.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !note_panic(&info.to_string()) {
                previous(info);
            }
        }));
    });
}

/// Takes a critical message of a guest's log. On its first `set_log_level`, the SDK replaces the
/// hook by one that logs; so this may be a panic, and even one of a thread that is no VM, which is
/// shown as the standard hook would have.
pub(crate) fn note_panic_of_the_sdk(message: &str) {
    if std::thread::panicking() && !note_panic(message) {
        eprintln!("{message}");
    }
}

/// Notes what a guest's panic says; says whether this is one.
fn note_panic(message: &str) -> bool {
    let guest = is_guest();
    if guest {
        MESSAGE.set(message.to_owned());
    }
    guest
}

fn is_guest() -> bool {
    let is_vm = LOCAL.try_with(|local| local.borrow().is_some());
    is_vm.unwrap_or(false) && !IN_HOST.get()
}

/// Reports the guest's panic and never returns.
fn die() -> ! {
    INITIALISING.take();
    if let Some(local) = LOCAL.take() {
        let message = MESSAGE.take();
        let (thread, filter) = {
            let state = lock(&local.state);
            (state.thread, state.filter_name())
        };
        local.shared.logs.push(LogLine {
            level: LogLevel::Critical,
            thread,
            filter,
            message: message.clone(),
        });
        // If nobody waits any more, there is nobody to tell.
        let _ = local.outcomes.send(Outcome::Died(message));
    }
    loop {
        std::thread::park();
    }
}

type Raise = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

/// The unwinder's own entry point, which the definition below hides from the standard library.
static RAISE: LazyLock<Option<Raise>> = LazyLock::new(|| {
    const NEXT: *mut c_void = usize::MAX as *mut c_void;
    const NAME: &CStr = c"_Unwind_RaiseException";
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: `NEXT` is `RTLD_NEXT`, and the name ends with a zero byte.
    let raise = unsafe { dlsym(NEXT, NAME.as_ptr()) };
    // SAFETY: the symbol has this type in every unwinder of the Itanium ABI; null becomes `None`.
    unsafe { std::mem::transmute::<*mut c_void, Option<Raise>>(raise) }
});

/// Where every panic of the process begins to unwind. A guest's ends here; any other goes on.
///
/// # Safety
/// As that of the unwinder: `exception` is one.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn _Unwind_RaiseException(exception: *mut c_void) -> c_int {
    if is_guest() {
        die();
    }
    match *RAISE {
        // SAFETY: it is the caller's exception, and the function is the unwinder's.
        Some(raise) => unsafe { raise(exception) },
        None => std::process::abort(),
    }
}
