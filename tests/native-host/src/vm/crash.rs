//! What happens when a guest panics.
//!
//! In WebAssembly a panic is a trap: nothing is unwound, no destructor runs, the VM is dead. Here
//! the guest runs on a thread, and a panic may not even leave the SDK's `extern "C"` functions: that
//! would abort the test process. So a guest's panic is stopped where it would begin to unwind: the
//! worker that waits for the call is notified, and the thread is parked for ever. One leaked thread is
//! the price of a simulated crash.
//!
//! The panic hook, which runs just before, cannot be the place for that: the standard library keeps
//! the hook locked while it runs, and the test harness wants that lock when it ends. The next place
//! is the unwinder's entry point, which is why this file [defines it](_Unwind_RaiseException).

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Once};

use super::local::{Local, is_guest, park};
use super::{Outcome, module};
use crate::failures::{Failure, FailureKind};
use crate::logs::{LogLevel, LogLine};
use crate::sync::lock;

thread_local! {
    /// What the guest's panic said, if a hook of ours saw it.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The guest's own hook has logged the panic.
    static LOGGED: Cell<bool> = const { Cell::new(false) };
    /// Where the payload of a panic is that [`calibrate`] raises.
    static PROBE: Cell<*const c_void> = const { Cell::new(std::ptr::null()) };
}

/// Notes what a guest's panic says; says whether this is one.
pub(super) fn note_panic(message: impl FnOnce() -> String) -> bool {
    let guest = is_guest();
    if guest {
        MESSAGE.set(Some(message()));
    }
    guest
}

/// Takes a critical message of a guest's log. A filter's panic hook logs; so this may be a panic, and
/// even one of a thread that is no VM, which is shown as the standard hook would have.
pub(crate) fn note_panic_of_a_hook(message: &str) {
    if !std::thread::panicking() {
        return;
    }
    if is_guest() {
        LOGGED.set(true);
        MESSAGE.with_borrow_mut(|noted| {
            noted.get_or_insert_with(|| message.to_owned());
        });
    } else {
        eprintln!("{message}");
    }
}

/// Reports the guest's panic and never returns.
fn die(payload: Option<String>) -> ! {
    let backtrace = Backtrace::force_capture();
    module::leave();
    if let Some(local) = Local::take() {
        let message = MESSAGE.take().or(payload);
        let message = message.unwrap_or_else(|| "a panic that says nothing".to_owned());
        let (thread, filter, callback, deliberate) = {
            let state = lock(&local.state);
            (
                state.thread,
                state.filter_name(),
                state.callback,
                state.deliberate,
            )
        };
        if !LOGGED.get() {
            local.shared.logs.push(LogLine {
                level: LogLevel::Critical,
                thread,
                filter: filter.clone(),
                message: message.clone(),
                stream: None,
            });
        }
        if !deliberate {
            local.shared.failures.push(Failure {
                kind: FailureKind::Crash,
                filter,
                thread,
                callback,
                message: message.clone(),
                backtrace: Some(backtrace),
                logged_before: local.shared.logs.mark(),
            });
        }
        // If nobody waits any more, there is nobody to tell.
        let _ = local.outcomes.send(Outcome::Died(message));
    }
    park()
}

type Raise = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

/// The unwinder's own entry point, which the definition below hides from the standard library.
static RAISE: LazyLock<Option<Raise>> = LazyLock::new(|| {
    const NAME: &CStr = c"_Unwind_RaiseException";
    let raise = next_symbol(NAME);
    // SAFETY: the symbol has this type in every unwinder of the Itanium ABI; null becomes `None`.
    unsafe { std::mem::transmute::<*mut c_void, Option<Raise>>(raise) }
});

/// The definition of this symbol that ours hides; null if there is none.
pub(crate) fn next_symbol(name: &CStr) -> *mut c_void {
    const NEXT: *mut c_void = usize::MAX as *mut c_void;
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: `NEXT` is `RTLD_NEXT`, and the name ends with a zero byte.
    unsafe { dlsym(NEXT, name.as_ptr()) }
}

/// Where every panic of the process begins to unwind. A guest's ends here; any other goes on.
///
/// # Safety
/// As that of the unwinder: `exception` is one.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn _Unwind_RaiseException(exception: *mut c_void) -> c_int {
    if is_guest() {
        // SAFETY: the caller's promise.
        die(unsafe { text_of(exception) });
    }
    if !PROBE.get().is_null() {
        // SAFETY: likewise; the panic is that of `calibrate`.
        let payload = unsafe { payload_of(exception) };
        let found = payload.is_some_and(|payload| payload[0] == PROBE.get());
        LAYOUT_IS_KNOWN.store(found, Ordering::Relaxed);
    }
    match *RAISE {
        // SAFETY: it is the caller's exception, and the function is the unwinder's.
        Some(raise) => unsafe { raise(exception) },
        None => std::process::abort(),
    }
}

/// The standard library's exceptions: the unwinder's own header of four words, a word of the
/// library's, and the panic's payload as a fat pointer. That is nobody's promise, so it is believed
/// only after [`calibrate`] has seen it.
static LAYOUT_IS_KNOWN: AtomicBool = AtomicBool::new(false);

/// `MOZ\0RUST`, by which the standard library knows its own exceptions; as bytes, or as a number.
const RUST: [u8; 8] = *b"MOZ\0RUST";

/// # Safety
/// `exception` is one of the Itanium ABI.
unsafe fn payload_of(exception: *mut c_void) -> Option<[*const c_void; 2]> {
    // SAFETY: every exception begins with its class.
    let class = unsafe { exception.cast::<u64>().read() };
    if class.to_ne_bytes() != RUST && class.to_be_bytes() != RUST {
        return None;
    }
    // SAFETY: the standard library's exceptions are seven words long, or the calibration fails.
    Some(unsafe { exception.cast::<[*const c_void; 2]>().byte_add(40).read() })
}

/// What the panic says, from its payload: not every panic hook lets us hear it.
///
/// # Safety
/// `exception` is one of the Itanium ABI.
unsafe fn text_of(exception: *mut c_void) -> Option<String> {
    if !LAYOUT_IS_KNOWN.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: the caller's promise.
    let payload = unsafe { payload_of(exception) }?;
    // SAFETY: `calibrate` saw that a payload lies there, and nobody unwinds or drops this one.
    let payload = unsafe { std::mem::transmute::<[*const c_void; 2], &(dyn Any + Send)>(payload) };
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

/// Learns where the payload of a panic lies, from a panic whose payload is known.
pub(super) fn calibrate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let payload = Box::new(0_u64);
        PROBE.set(std::ptr::from_ref(&*payload).cast());
        let raised = catch_unwind(|| resume_unwind(payload));
        PROBE.set(std::ptr::null());
        drop(raised);
    });
}
