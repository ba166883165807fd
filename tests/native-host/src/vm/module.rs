//! What a module has for itself in WebAssembly and shares with the whole process here: the panic
//! hook, and the level of the crate `log`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use log::LevelFilter;

use super::local::with_local;
use super::{crash, turn};
use crate::filter::{Filter, Identity};
use crate::sync::lock;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

thread_local! {
    /// The hook that this VM's guest installed.
    static GUEST_HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Runs the module's initialisation, and takes back what it changed in the process.
pub(super) fn initialise(init: &(dyn Fn() + Send + Sync)) {
    alone(init);
}

/// A callback of a module with some configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetUp {
    module: Identity,
    callback: &'static str,
    configuration: u64,
}

impl SetUp {
    pub(super) fn new(filter: &Filter, callback: &'static str) -> Self {
        let configuration = (&filter.config, &filter.vm.config);
        Self {
            module: filter.vm.init.identity,
            callback,
            configuration: BuildHasherDefault::<DefaultHasher>::new().hash_one(configuration),
        }
    }
}

/// What was found out in this process: whether a set-up changes something of the process's.
static LEARNT: Mutex<BTreeMap<SetUp, bool>> = Mutex::new(BTreeMap::new());

/// Runs a callback in which modules set things up, and takes back what it changed in the process. The
/// first time it runs alone. Where that changed nothing, it runs among others from then on: it may take
/// its time.
pub(super) fn set_up<R>(key: SetUp, run: impl FnOnce() -> R) -> R {
    let learnt = lock(&LEARNT).get(&key).copied();
    let (result, changed) = match learnt {
        Some(false) => among_others(run),
        _ => alone(run),
    };
    if changed || learnt.is_none() {
        lock(&LEARNT).insert(key, changed);
    }
    result
}

/// Says too whether anything was changed.
fn alone<R>(run: impl FnOnce() -> R) -> (R, bool) {
    turn::begin_alone();
    // What is there before is the test's.
    install_hook();
    let before = begin_log_level();
    let result = run();
    let hook = reclaim_hook();
    let changed = hook.is_some() | note_log_level(before);
    if hook.is_some() {
        GUEST_HOOK.set(hook);
    }
    leave();
    (result, changed)
}

/// Notices a level that the guest has set after all.
fn among_others<R>(run: impl FnOnce() -> R) -> (R, bool) {
    turn::begin();
    let result = run();
    let changed = note_log_level(resting_log_level());
    if changed {
        log::set_max_level(resting_log_level());
    }
    leave();
    (result, changed)
}

/// The hook of the process, apart from ours and the guests'.
static PREVIOUS: Mutex<Option<Arc<Hook>>> = Mutex::new(None);

/// Our hook, by its address.
static OURS: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Puts our hook over the one that the process has: the panics of guests go to the host's log. No guest
/// may be running, because there is no hook of ours for a moment.
fn install_hook() {
    replace_hook(|hook| {
        let hook = Arc::new(hook);
        *lock(&PREVIOUS) = Some(Arc::clone(&hook));
        hook
    });
}

/// Puts our hook in the place of one that the guest has installed, and gives that.
fn reclaim_hook() -> Option<Hook> {
    let mut of_the_guest = None;
    replace_hook(|hook| {
        of_the_guest = Some(hook);
        let previous = lock(&PREVIOUS).clone();
        previous.unwrap_or_else(|| Arc::new(Box::new(|_| ())))
    });
    of_the_guest
}

/// Puts our hook in the place of any other. It needs to know what to do with the panics of tests.
fn replace_hook(previous: impl FnOnce(Hook) -> Arc<Hook>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = lock(&ONE_AT_A_TIME);
    let hook = std::panic::take_hook();
    if address(&hook) == OURS.load(Ordering::Relaxed) {
        return std::panic::set_hook(hook);
    }
    let previous = previous(hook);
    let ours: Hook = Box::new(move |info| on_panic(info, &previous));
    OURS.store(address(&ours), Ordering::Relaxed);
    std::panic::set_hook(ours);
}

fn address(hook: &Hook) -> *mut () {
    std::ptr::from_ref(&**hook).cast::<()>().cast_mut()
}

fn on_panic(info: &PanicHookInfo<'_>, previous: &Hook) {
    if !crash::note_panic(|| info.to_string()) {
        return previous(info);
    }
    GUEST_HOOK.with_borrow(|hook| {
        if let Some(hook) = hook {
            hook(info);
        }
    });
}

/// The level of the process while guests run among others: the most that any guest has set, so that no
/// line is lost, and each VM keeps its own. At first it is the test's.
static RESTING: OnceLock<AtomicUsize> = OnceLock::new();

fn resting_log_level() -> LevelFilter {
    let level = RESTING.get_or_init(|| AtomicUsize::new(log::max_level() as usize));
    level_of(level.load(Ordering::Relaxed))
}

fn level_of(number: usize) -> LevelFilter {
    let mut levels = LevelFilter::iter();
    levels.nth(number).unwrap_or(LevelFilter::Off)
}

/// The process's level before a guest may set it: the one that the guest has set before.
fn begin_log_level() -> LevelFilter {
    resting_log_level();
    let own = with_local(|_, vm| vm.log_level);
    log::set_max_level(own.unwrap_or(LevelFilter::Off));
    log::max_level()
}

/// Takes the level that the guest has set, if it has: the SDK sets the maximum of the crate `log`.
fn note_log_level(before: LevelFilter) -> bool {
    let now = log::max_level();
    let changed = now != before;
    if changed {
        if let Some(resting) = RESTING.get() {
            resting.fetch_max(now as usize, Ordering::Relaxed);
        }
        with_local(|_, vm| vm.log_level = now);
    }
    changed
}

/// The guest's turn is over, one way or the other.
pub(super) fn leave() {
    if turn::is_alone() {
        log::set_max_level(resting_log_level());
    }
    turn::end();
}
