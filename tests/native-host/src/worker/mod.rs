//! One thread of Envoy: its VMs, its streams, and the order in which things happen on it.

mod calls;
mod events;
mod plugin;
mod results;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::calls::{ByHand, Call};
pub(crate) use self::events::{Core, Event};
use self::plugin::Plugins;
pub(crate) use self::plugin::{Plugin, Refusal, Slot};
use crate::client::Held;
use crate::filter::Filter;
use crate::logs::Thread;
use crate::message::Request;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::vm::{Action, Vm};

/// A worker, or the main thread, which has plugins and timers but no streams.
///
/// It is driven by whichever thread of the test calls it, and does one thing at a time.
#[derive(Debug)]
pub(crate) struct Worker {
    core: Core,
    plugins: Plugins,
    streams: BTreeMap<u64, Stream>,
    outcomes: BTreeMap<u64, Outcome>,
}

impl Worker {
    pub(crate) fn new(thread: Thread, shared: Arc<Shared>) -> Self {
        Self {
            core: Core::new(thread, shared),
            plugins: Plugins::default(),
            streams: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Configures a filter on a VM made for that alone, as Envoy does before it accepts a
    /// configuration. The VM's guest is not told that it ends.
    pub(crate) fn try_out(shared: &Arc<Shared>, filter: &Arc<Filter>) -> Result<(), Refusal> {
        let mut worker = Self::new(Thread::Main, Arc::clone(shared));
        let plugin = worker.plugins.load(&mut worker.core, filter)?;
        plugin.delete(&mut worker.core);
        Ok(())
    }

    /// Whether there is a plugin with this configuration.
    pub(crate) fn has(&self, filter: &Filter) -> bool {
        self.plugins.find(filter).is_some()
    }

    /// Configures a plugin for the next chain, unless there is one with this configuration.
    pub(crate) fn prepare(&mut self, filter: &Arc<Filter>) -> Result<(), Refusal> {
        self.plugins.prepare(&mut self.core, filter)
    }

    /// Forgets what was prepared.
    pub(crate) fn discard_prepared(&mut self) {
        self.plugins.discard_prepared();
        self.run();
    }

    /// Gives new streams this chain, all of which is prepared.
    pub(crate) fn set_chain(&mut self, filters: &[Arc<Filter>]) {
        self.plugins.set_chain(&self.core, filters);
        self.run();
    }

    /// Opens a stream with what there is of its request; unless that is `finished`, more is to come.
    pub(crate) fn open(&mut self, request: &Request, finished: bool) -> u64 {
        let slots = self.plugins.slots(&mut self.core);
        let stream = Stream::new(&self.core, slots, request);
        let id = stream.id();
        self.streams.insert(id, stream);
        self.with_stream(id, |stream, core| stream.receive(core, request, finished));
        id
    }

    /// Does something with a stream, unless it is over, and everything that follows from it now.
    pub(crate) fn with_stream(&mut self, id: u64, act: impl FnOnce(&mut Stream, &mut Core)) {
        self.act_on_stream(id, act);
        self.run();
    }

    fn act_on_stream(&mut self, id: u64, act: impl FnOnce(&mut Stream, &mut Core)) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        act(&mut stream, &mut self.core);
        match stream.take_outcome() {
            Some(outcome) => {
                self.outcomes.insert(id, outcome);
            }
            None => {
                self.streams.insert(id, stream);
            }
        }
    }

    /// What came of a stream, if it is over; once.
    pub(crate) fn take_outcome(&mut self, id: u64) -> Option<Outcome> {
        self.outcomes.remove(&id)
    }

    /// Where a stream is that is not over.
    pub(crate) fn describe(&self, id: u64) -> String {
        let stream = self.streams.get(&id);
        stream.map(Stream::describe).unwrap_or_default()
    }

    /// What a filter holds of a stream.
    pub(crate) fn held(&self, id: u64) -> Option<Held> {
        self.streams.get(&id)?.held()
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.core.next_due()
    }

    /// Does everything that is to be done now.
    pub(crate) fn run(&mut self) {
        loop {
            self.take_posts();
            self.run_asked();
            if let Some(event) = self.core.take_due() {
                self.handle(event);
                continue;
            }
            self.plugins.collect(&mut self.core);
            if self.core.asked.is_empty() {
                break;
            }
        }
    }

    /// Runs what other threads left for this one; says whether there was something.
    pub(crate) fn run_posts(&mut self) -> bool {
        let something = self.take_posts();
        if something {
            self.run();
        }
        something
    }

    fn take_posts(&mut self) -> bool {
        let posts = self.core.shared.queues.take_posts(self.core.thread);
        let something = !posts.is_empty();
        for ready in posts {
            self.core.schedule(Duration::ZERO, Event::Queue(ready));
        }
        something
    }

    fn run_asked(&mut self) {
        while let Some((vm, action)) = self.core.asked.pop_front() {
            self.perform(vm, action);
        }
    }

    fn perform(&mut self, vm: Arc<Vm>, action: Action) {
        match action {
            Action::Reply { at, reply } => {
                self.act_on_stream(at.stream, |stream, core| stream.local_reply(core, &reply));
            }
            Action::Continue { at, direction } => {
                self.act_on_stream(at.stream, |stream, core| {
                    stream.resume(core, direction, at.filter);
                });
            }
            Action::Close { at } => {
                self.act_on_stream(at.stream, |stream, core| stream.close(core));
            }
            Action::Call(call) => self.core.send_call(vm, call),
            Action::GrpcSend {
                token,
                message,
                end,
            } => self.core.send_grpc(&vm, token, message, end),
            Action::GrpcCancel { token } => self.core.cancel_call(&vm, token),
            Action::Tick { root, period } => self.core.set_timer(vm, root, period),
            Action::Done { root } => self.plugins.finish_ending(&mut self.core, &vm, root),
            Action::Enqueued { owner, token } => self.core.tell(owner, token),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Upstream { stream, attempt } => {
                self.act_on_stream(stream, |stream, core| {
                    stream.upstream_answers(core, attempt)
                });
            }
            Event::Timeout { stream } => self.act_on_stream(stream, Stream::upstream_timed_out),
            Event::Queue(ready) => {
                if let Some(vm) = self.plugins.vm_with_root(ready.vm, ready.root) {
                    let called = vm.on_queue_ready(ready.root, ready.token);
                    self.core.absorb(&vm, called.asked);
                }
            }
            // Nothing starts the timers of a dead VM again.
            Event::Tick { vm, .. } if vm.is_dead() => {}
            Event::Tick { vm, root } => {
                let called = vm.on_tick(root);
                self.core.absorb(&vm, called.asked);
                // The tick may have reset its timer.
                self.run_asked();
                self.core.rearm_timer(vm, root);
            }
            Event::Call {
                id,
                version,
                result,
            } => self.finish_call(id, version, result),
        }
    }

    pub(crate) fn thread(&self) -> Thread {
        self.core.thread
    }

    /// The period of a filter's timer.
    pub(crate) fn tick_period(&self, filter: &str) -> Option<Duration> {
        let plugin = self.plugins.of_filter(filter)?;
        self.core.timer_period(&plugin.vm, plugin.root)
    }

    /// Calls a function of a filter; says whether there is one.
    pub(crate) fn call_foreign_function(
        &mut self,
        filter: &str,
        function: u32,
        arguments: &[u8],
    ) -> bool {
        let Some(plugin) = self.plugins.of_filter(filter) else {
            return false;
        };
        self.call_with_data(&plugin, function, arguments);
        self.run();
        true
    }

    /// The calls that are under way.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (u64, &Call)> {
        self.core.calls.iter().map(|(id, call)| (*id, call))
    }

    /// The test answers a call; says whether it is still there.
    pub(crate) fn answer_by_hand(&mut self, id: u64, reply: ByHand) -> bool {
        let there = self.core.answer_by_hand(id, reply);
        self.run();
        there
    }

    /// The plugin of a filter of the chain.
    pub(crate) fn plugin(&self, filter: &str) -> Option<Arc<Plugin>> {
        self.plugins.of_filter(filter)
    }

    /// Ends everything, so that no guest is left with a context when its thread ends.
    pub(crate) fn shut_down(&mut self) {
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.act_on_stream(id, Stream::disconnect);
        }
        self.plugins.shut_down(&mut self.core);
    }
}
