use std::ffi::c_void;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// What a scheduler was used for.
#[derive(Default)]
pub(crate) struct Uses {
    pub(crate) ticks: AtomicUsize,
    is_deleted: AtomicBool,
    is_used_later: AtomicBool,
}

unsafe fn uses(ptr: *mut c_void) -> &'static Uses {
    // SAFETY: each test leaks its own.
    unsafe { &*ptr.cast::<Uses>() }
}

/// Envoy's scheduler of a configuration or a filter that is one of these.
unsafe extern "C" fn new(uses: *mut c_void) -> *mut c_void {
    uses
}

macro_rules! envoy {
    ($($name:ident = $function:ident ($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        // SAFETY: no Envoy has this name in a unit test.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: each test leaks what its schedulers count.
            unsafe { $function($($argument),*) }
        }
    )*};
}

envoy! {
    envoy_dynamic_module_callback_http_filter_config_scheduler_new = new(uses: *mut c_void) -> *mut c_void;
    envoy_dynamic_module_callback_http_filter_config_scheduler_commit = commit(ptr: *mut c_void, event: u64);
    envoy_dynamic_module_callback_http_filter_config_scheduler_delete = delete(ptr: *mut c_void);
    envoy_dynamic_module_callback_http_filter_scheduler_new = new(uses: *mut c_void) -> *mut c_void;
    envoy_dynamic_module_callback_http_filter_scheduler_commit = commit(ptr: *mut c_void, event: u64);
    envoy_dynamic_module_callback_http_filter_scheduler_delete = delete(ptr: *mut c_void);
}

unsafe extern "C" fn commit(ptr: *mut c_void, event: u64) {
    assert_eq!(event, TICK);
    // SAFETY: it comes from `ticks`.
    let uses = unsafe { uses(ptr) };
    uses.ticks.fetch_add(1, Ordering::SeqCst);
    if uses.is_deleted.load(Ordering::SeqCst) {
        uses.is_used_later.store(true, Ordering::SeqCst);
    }
}

unsafe extern "C" fn delete(ptr: *mut c_void) {
    // SAFETY: it comes from `ticks`.
    let uses = unsafe { uses(ptr) };
    let was_deleted = uses.is_deleted.swap(true, Ordering::SeqCst);
    assert!(!was_deleted);
}

/// A configuration or a filter of Envoy that counts the uses of its scheduler. It is leaked.
pub(crate) fn counting() -> (*mut c_void, Arc<Uses>) {
    let uses = Arc::new(Uses::default());
    (Arc::into_raw(Arc::clone(&uses)).cast_mut().cast(), uses)
}

pub(crate) fn ticks() -> (Ticks, Arc<Uses>) {
    let (config, uses) = counting();
    // SAFETY: a test has no other threads of Envoy.
    let scheduler = unsafe { Scheduler::of_config(config) };
    (Ticks::new(scheduler), uses)
}

#[expect(clippy::disallowed_methods, reason = "a test of times")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

fn wait_for(uses: &Uses, ticks: usize) {
    let started = now();
    while uses.ticks.load(Ordering::SeqCst) < ticks {
        assert!(now() - started < Duration::from_secs(10));
        pause(Duration::from_millis(1));
    }
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_tick_comes_once_at_its_time() {
    let (ticks, uses) = ticks();
    let started = now();
    ticks.tick_after(SHORT);
    wait_for(&uses, 1);
    assert!(now() - started >= SHORT);
    pause(SHORT * 3);
    assert_eq!(uses.ticks.load(Ordering::SeqCst), 1);
}

#[test]
fn an_earlier_tick_takes_the_place_of_a_later_one() {
    let (ticks, uses) = ticks();
    ticks.tick_after(LONG);
    ticks.tick_after(SHORT);
    wait_for(&uses, 1);
    ticks.tick_after(SHORT);
    ticks.tick_after(LONG);
    pause(SHORT * 3);
    assert_eq!(uses.ticks.load(Ordering::SeqCst), 1);
    ticks.tick_now();
    assert_eq!(uses.ticks.load(Ordering::SeqCst), 2);
}

#[test]
fn only_a_tick_postpones_the_next_one() {
    let (ticks, uses) = ticks();
    ticks.tick_within(SHORT);
    let started = now();
    while now() - started < SHORT * 10 {
        ticks.tick_within(LONG);
        ticks.tick_within(Duration::MAX);
        pause(SHORT / 4);
    }
    assert_eq!(uses.ticks.load(Ordering::SeqCst), 1);
    ticks.tick_within(SHORT);
    wait_for(&uses, 2);
}

/// A configuration that ends when its scheduler is used for the first time.
struct Ends {
    ticks: Mutex<Option<Ticks>>,
    is_deleted: AtomicBool,
}

unsafe extern "C" fn commit_and_end(ptr: *mut c_void, _event: u64) {
    // SAFETY: it comes from `ends`.
    let ends = unsafe { &*ptr.cast::<Ends>() };
    let ticks = lock(&ends.ticks).take();
    drop(ticks);
    // It is still in use.
    assert!(!ends.is_deleted.load(Ordering::SeqCst));
}

unsafe extern "C" fn delete_ended(ptr: *mut c_void) {
    // SAFETY: it comes from `ends`.
    let ends = unsafe { &*ptr.cast::<Ends>() };
    assert!(!ends.is_deleted.swap(true, Ordering::SeqCst));
}

fn ends() -> &'static Ends {
    let ends: &Ends = Box::leak(Box::new(Ends {
        ticks: Mutex::default(),
        is_deleted: AtomicBool::new(false),
    }));
    *lock(&ends.ticks) = Some(Ticks::new(Scheduler {
        ptr: std::ptr::from_ref(ends).cast_mut().cast(),
        commit: commit_and_end,
        delete: delete_ended,
    }));
    ends
}

/// Waits until a scheduler is deleted. A thread that waits for itself has the lock of all ticks, so that no other
/// test could end either: then the program ends.
fn wait_for_end(ends: &Ends) {
    let started = now();
    while !ends.is_deleted.load(Ordering::SeqCst) {
        if now() - started > Duration::from_secs(10) {
            let _ = writeln!(std::io::stderr(), "a thread waits for itself");
            std::process::abort();
        }
        pause(Duration::from_millis(1));
    }
}

#[test]
fn a_configuration_ends_while_its_scheduler_is_used() {
    let ended = ends();
    let id = lock(&ended.ticks).as_ref().map(Ticks::id).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test of threads")]
    let ticking = thread::spawn(move || tick_now(id));
    wait_for_end(ended);
    ticking.join().unwrap();
    // Nothing is left of it.
    tick_now(id);
    assert!(!TICKER.lock().all.contains_key(&id));
}

#[test]
fn a_configuration_ends_while_the_thread_uses_its_scheduler() {
    let ended = ends();
    let (others, uses) = ticks();
    others.tick_after(SHORT);
    // The scheduler takes this lock, too.
    let ticks = lock(&ended.ticks).take().unwrap();
    ticks.tick_after(SHORT);
    *lock(&ended.ticks) = Some(ticks);
    wait_for_end(ended);
    wait_for(&uses, 1);
    others.tick_after(SHORT);
    wait_for(&uses, 2);
}

#[test]
fn a_time_beyond_the_clock_never_comes() {
    let (ticks, uses) = ticks();
    ticks.tick_after(Duration::MAX);
    pause(SHORT);
    assert_eq!(uses.ticks.load(Ordering::SeqCst), 0);
}

/// Threads set ticks and drop them at the moment at which they are due.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test of threads")]
fn no_scheduler_is_used_after_its_end() {
    let race = || {
        for round in 0..300 {
            let (ticks, uses) = ticks();
            ticks.tick_after(Duration::from_micros(round % 7 * 50));
            pause(Duration::from_micros(round % 5 * 60));
            ticks.tick_now();
            drop(ticks);
            assert!(uses.is_deleted.load(Ordering::SeqCst));
            let ticks = uses.ticks.load(Ordering::SeqCst);
            pause(Duration::from_micros(100));
            assert_eq!(uses.ticks.load(Ordering::SeqCst), ticks);
            assert!(!uses.is_used_later.load(Ordering::SeqCst));
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(race);
        }
    });
}

/// The thread ends with the last ticks, and the next ones start it again.
#[test]
fn ticks_come_after_a_pause_without_any() {
    for _ in 0..20 {
        let (ticks, uses) = ticks();
        ticks.tick_after(Duration::from_millis(1));
        wait_for(&uses, 1);
        drop(ticks);
        pause(Duration::from_millis(2));
    }
}
