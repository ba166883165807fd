//! The requests that wait in one worker: their ticks, and their wake-ups from the main thread.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Mutex;
use std::time::Duration;

use portcullis_core::time::Nanos;
use portcullis_host::Woken;

use crate::abi::FilterPtr;
use crate::calls::Caller;
use crate::lock::lock;
use crate::process::monotonic;
use crate::ticker::{Scheduler, Ticks, tick_now};

/// The wake-ups that the main thread sends to a worker.
///
/// None gets lost. If no request waits, a wake-up stays until one does: it may concern a request that is being judged,
/// and begins to wait afterwards.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Post>);

#[derive(Debug, Default)]
struct Post {
    woken: Woken,
    /// The ticks of the worker, if a request waits.
    ticks: Option<u64>,
}

impl Mailbox {
    /// Wakes requests. Any thread may do so.
    pub(crate) fn wake(&self, woken: &Woken) {
        let mut post = lock(&self.0);
        post.woken.all |= woken.all;
        match post.ticks {
            Some(ticks) => {
                post.woken.callers.extend_from_slice(&woken.callers);
                drop(post);
                // If they have been dropped meanwhile, `set_ticks` finds the wake-up.
                tick_now(ticks);
            }
            // A list could only grow.
            None => post.woken.all = true,
        }
    }

    /// The requests that were woken since the last time.
    pub(crate) fn take(&self) -> Woken {
        take(&mut lock(&self.0).woken)
    }

    /// The ticks of the worker have changed.
    fn set_ticks(&self, ticks: Option<&Ticks>) {
        let mut post = lock(&self.0);
        post.ticks = ticks.map(Ticks::id);
        let is_woken = !post.woken.is_none();
        if ticks.is_none() && is_woken {
            post.woken = Woken {
                all: true,
                callers: Vec::new(),
            };
        }
        drop(post);
        if let Some(ticks) = ticks
            && is_woken
        {
            ticks.tick_now();
        }
    }
}

/// The ticks of a worker while requests wait there: those of one of the waiting streams, because only a stream can
/// make Envoy call back in a worker.
///
/// Streams begin and cease to wait more often than the worker ticks. So neither postpones the tick of those that wait on.
pub(crate) struct Waiting {
    filters: BTreeSet<usize>,
    carrier: Option<(usize, Ticks)>,
    /// The tick period that the last one asked for. All are of one chain.
    tick: Duration,
    /// When the next tick is due, by the monotonic clock; `None` if no stream waits, and while the worker ticks.
    due: Option<Nanos>,
    caller: Caller,
}

impl Waiting {
    pub(crate) fn new(caller: Caller) -> Self {
        Self {
            filters: BTreeSet::new(),
            carrier: None,
            tick: Duration::MAX,
            due: None,
            caller,
        }
    }

    /// The worker as the origin of calls.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A stream begins to wait.
    ///
    /// # Safety
    /// The filter lives until [`remove`](Self::remove), and this is its thread.
    pub(crate) unsafe fn add(&mut self, filter: FilterPtr, time: Duration) {
        self.filters.insert(filter as usize);
        self.tick = time;
        let due = monotonic() + Nanos::from(time);
        if self.due.is_none_or(|earlier| due < earlier) {
            // SAFETY: as above.
            unsafe { self.tick_after(time) }
        }
    }

    /// A stream no longer waits, and may end. If the ticks came through it, another waiting stream takes over, because
    /// no further request may come.
    ///
    /// # Safety
    /// This is the thread of all waiting streams.
    pub(crate) unsafe fn remove(&mut self, filter: FilterPtr) {
        let filter = filter as usize;
        self.filters.remove(&filter);
        if self.carrier.take_if(|(it, _)| *it == filter).is_some() {
            self.caller.mailbox.set_ticks(None);
            let left = match self.due {
                Some(due) => (due - monotonic()).into(),
                // The tick that the worker is about to end sets the next one.
                None => self.tick,
            };
            // SAFETY: as above.
            unsafe { self.tick_after(left) }
        }
    }

    /// The worker begins to tick.
    pub(crate) fn begin_tick(&mut self) {
        self.due = None;
    }

    /// Sets the next tick, if a stream waits, in place of the one that was set.
    ///
    /// # Safety
    /// This is the thread of all waiting streams.
    pub(crate) unsafe fn tick_after(&mut self, time: Duration) {
        let Some(first) = self.filters.first() else {
            self.due = None;
            return;
        };
        self.due = Some(monotonic() + Nanos::from(time));
        let is_new = self.carrier.is_none();
        let (_, ticks) = self.carrier.get_or_insert_with(|| {
            // SAFETY: the filter waits, so it lives.
            let scheduler = unsafe { Scheduler::of_filter(*first as FilterPtr) };
            (*first, Ticks::new(scheduler))
        });
        ticks.tick_after(time);
        if is_new {
            self.caller.mailbox.set_ticks(Some(ticks));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use portcullis_host::CallId;

    use super::*;
    use crate::ticker::tests::{Uses, counting, pause, ticks};

    fn callers(numbers: &[u64]) -> Woken {
        Woken {
            all: false,
            callers: numbers.iter().copied().map(CallId::new).collect(),
        }
    }

    fn all() -> Woken {
        Woken {
            all: true,
            callers: Vec::new(),
        }
    }

    fn count(uses: &Uses) -> usize {
        uses.ticks.load(Ordering::SeqCst)
    }

    #[test]
    fn a_wake_up_of_waiting_requests_ticks_at_once() {
        let mailbox = Mailbox::default();
        let (ticks, uses) = ticks();
        mailbox.set_ticks(Some(&ticks));
        assert_eq!(count(&uses), 0);
        mailbox.wake(&callers(&[1]));
        mailbox.wake(&callers(&[2]));
        assert_eq!(count(&uses), 2);
        assert_eq!(mailbox.take(), callers(&[1, 2]));
        assert!(mailbox.take().is_none());
    }

    #[test]
    fn a_wake_up_that_finds_nobody_reaches_the_next_who_waits() {
        let mailbox = Mailbox::default();
        for number in 0..1000 {
            mailbox.wake(&callers(&[number]));
        }
        let (ticks, uses) = ticks();
        mailbox.set_ticks(Some(&ticks));
        assert_eq!(count(&uses), 1);
        assert_eq!(mailbox.take(), all());
    }

    /// The tick went to a stream that has ended, which Envoy drops.
    #[test]
    fn a_wake_up_passes_on_to_another_stream() {
        let mailbox = Mailbox::default();
        let (first, _) = ticks();
        mailbox.set_ticks(Some(&first));
        mailbox.wake(&callers(&[1]));
        drop(first);
        // The main thread may still know the old ticks.
        mailbox.wake(&callers(&[2]));
        mailbox.set_ticks(None);
        let (second, uses) = ticks();
        mailbox.set_ticks(Some(&second));
        assert_eq!(count(&uses), 1);
        assert_eq!(mailbox.take(), all());
    }

    /// The requests of a worker, which come and go more often than it ticks.
    struct Busy {
        waiting: Waiting,
        filters: Vec<(FilterPtr, Arc<Uses>)>,
    }

    const TICK: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    impl Busy {
        fn new() -> Self {
            Self {
                waiting: Waiting::new(Caller {
                    mailbox: Arc::default(),
                    route: None,
                }),
                filters: Vec::new(),
            }
        }

        fn add(&mut self, tick: Duration) {
            let (filter, uses) = counting();
            // SAFETY: filters of tests live for ever.
            unsafe { self.waiting.add(filter, tick) }
            self.filters.push((filter, uses));
        }

        /// Ends the wait of the stream that gets the ticks.
        fn remove_carrier(&mut self) {
            let filter = self.waiting.carrier.as_ref().map(|(it, _)| *it).unwrap();
            // SAFETY: as above.
            unsafe { self.waiting.remove(filter as FilterPtr) }
        }

        fn ticks(&self) -> usize {
            self.filters.iter().map(|(_, uses)| count(uses)).sum()
        }
    }

    #[test]
    fn requests_that_begin_to_wait_do_not_postpone_the_tick() {
        let mut busy = Busy::new();
        for _ in 0..40 {
            busy.add(TICK);
            pause(TICK / 4);
        }
        // The worker is busy: it has one tick to handle, not one for each request.
        assert_eq!(busy.ticks(), 1);
        busy.waiting.begin_tick();
        // SAFETY: as in `Busy`.
        unsafe { busy.waiting.tick_after(TICK) }
        pause(TICK * 5);
        assert_eq!(busy.ticks(), 2);
    }

    #[test]
    fn requests_that_leave_do_not_postpone_the_tick() {
        let mut busy = Busy::new();
        for _ in 0..60 {
            busy.add(TICK);
        }
        for _ in 0..40 {
            busy.remove_carrier();
            pause(TICK / 4);
        }
        assert!(busy.ticks() > 0);
    }

    #[test]
    fn requests_that_leave_within_a_tick_cause_no_other() {
        let mut busy = Busy::new();
        for _ in 0..60 {
            busy.add(TICK);
        }
        pause(TICK * 5);
        assert_eq!(busy.ticks(), 1);
        busy.waiting.begin_tick();
        busy.waiting.tick = LONG;
        for _ in 0..40 {
            busy.remove_carrier();
        }
        // SAFETY: as in `Busy`.
        unsafe { busy.waiting.tick_after(LONG) }
        pause(TICK * 5);
        assert_eq!(busy.ticks(), 1);
    }

    #[test]
    fn a_worker_without_requests_has_no_tick() {
        let mut busy = Busy::new();
        busy.add(TICK);
        busy.remove_carrier();
        pause(TICK * 3);
        assert_eq!(busy.ticks(), 0);
        busy.add(LONG);
        pause(TICK * 3);
        assert_eq!(busy.ticks(), 0);
    }
}
