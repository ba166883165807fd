//! What is going to happen on a worker, in the order of virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::calls::{Calls, Result};
use crate::logs::Thread;
use crate::shared::Shared;
use crate::shared_queue::{Owner, QueueReady};
use crate::vm::{Action, Asked, Vm};

/// Something that is due at some time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The upstream answers this attempt of a stream.
    Upstream { stream: u64, attempt: u32 },
    /// The route's timeout has passed.
    Timeout { stream: u64 },
    /// A filter's call has come to something, unless it was answered by hand since.
    Call {
        id: u64,
        version: u32,
        result: Result,
    },
    /// A queue has something new.
    Queue(QueueReady),
    /// A root context's timer fires.
    Tick { vm: Arc<Vm>, root: u32 },
}

/// The part of a worker that streams work with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) thread: Thread,
    pub(crate) shared: Arc<Shared>,
    events: BTreeMap<EventKey, Event>,
    scheduled: u64,
    timers: BTreeMap<TimerKey, Timer>,
    /// What guests asked for that is not about the stream at hand.
    pub(crate) asked: VecDeque<(Arc<Vm>, Action)>,
    pub(crate) calls: Calls,
}

/// Events at the same time happen in the order in which they were scheduled.
type EventKey = (Duration, u64);

/// The VM by its id, and the root context within it.
type TimerKey = (u64, u32);

#[derive(Debug)]
struct Timer {
    period: Duration,
    next: Option<EventKey>,
}

impl Core {
    pub(crate) fn new(thread: Thread, shared: Arc<Shared>) -> Self {
        Self {
            thread,
            shared,
            events: BTreeMap::new(),
            scheduled: 0,
            timers: BTreeMap::new(),
            asked: VecDeque::new(),
            calls: Calls::new(),
        }
    }

    pub(crate) fn schedule(&mut self, delay: Duration, event: Event) -> EventKey {
        self.scheduled += 1;
        let key = (self.shared.clock.monotonic() + delay, self.scheduled);
        self.events.insert(key, event);
        key
    }

    /// When the next event is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.events.keys().next().map(|(due, _)| *due)
    }

    /// Takes the next event if its time has come.
    pub(crate) fn take_due(&mut self) -> Option<Event> {
        let due = self.next_due()? <= self.shared.clock.monotonic();
        let (_, event) = due.then(|| self.events.pop_first()).flatten()?;
        if let Event::Tick { vm, root } = &event {
            if let Some(timer) = self.timers.get_mut(&(vm.id(), *root)) {
                timer.next = None;
            }
        }
        Some(event)
    }

    /// Keeps what a guest asked for until the worker gets to it. Queues are posted at once.
    pub(crate) fn absorb(&mut self, vm: &Arc<Vm>, asked: Asked) {
        for action in asked.actions {
            match action {
                Action::Enqueued { owner, token } => self.tell(owner, token),
                action => self.asked.push_back((Arc::clone(vm), action)),
            }
        }
    }

    /// Lets the owner of a queue know that there is something in it.
    pub(crate) fn tell(&mut self, owner: Owner, token: u32) {
        let Owner { thread, vm, root } = owner;
        let ready = QueueReady { vm, root, token };
        if thread == self.thread {
            self.schedule(Duration::ZERO, Event::Queue(ready));
        } else {
            self.shared.queues.post(thread, ready);
        }
    }

    /// Resets a root context's timer; zero stops it.
    pub(crate) fn set_timer(&mut self, vm: Arc<Vm>, root: u32, period: Duration) {
        let key = (vm.id(), root);
        if let Some(next) = self.timers.remove(&key).and_then(|timer| timer.next) {
            self.events.remove(&next);
        }
        if !period.is_zero() {
            let next = Some(self.schedule(period, Event::Tick { vm, root }));
            self.timers.insert(key, Timer { period, next });
        }
    }

    /// The period of a root context's timer.
    pub(crate) fn timer_period(&self, vm: &Vm, root: u32) -> Option<Duration> {
        Some(self.timers.get(&(vm.id(), root))?.period)
    }

    /// After a tick: lets the timer go on, unless the tick stopped or reset it.
    pub(crate) fn rearm_timer(&mut self, vm: Arc<Vm>, root: u32) {
        let timer = self.timers.get(&(vm.id(), root));
        let idle = timer.filter(|timer| timer.next.is_none());
        if let Some(period) = idle.map(|timer| timer.period) {
            self.set_timer(vm, root, period);
        }
    }
}
