//! One thread of Envoy: its VMs, its streams, and the order in which things happen on it.

mod events;
mod plugin;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::events::{Core, Event};
use self::plugin::Plugins;
pub(crate) use self::plugin::{Plugin, Refusal, Slot};
use crate::filter::Filter;
use crate::logs::Thread;
use crate::message::{Request, Response};
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::sync::lock;
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
                // The tick may have set its timer anew.
                self.run_asked();
                self.core.rearm_timer(vm, root);
            }
            Event::Call {
                vm,
                root,
                token,
                response,
            } => self.finish_call(&vm, root, token, response),
        }
    }

    fn finish_call(&mut self, vm: &Arc<Vm>, root: u32, token: u32, response: Option<Response>) {
        let sizes = response.as_ref().map_or((0, 0, 0), |response| {
            let body = response.body_bytes().len();
            (response.headers.len(), body, response.trailers.len())
        });
        {
            let mut state = lock(&vm.state);
            let Some(context) = state.root_mut(root) else {
                return;
            };
            // Envoy does not take the code back when a later call succeeds.
            if response.is_none() {
                context.call_status = CALL_RESET;
            }
            context.call_response = response;
        }
        let (headers, body, trailers) = sizes;
        let called = vm.on_http_call_response(root, token, headers, body, trailers);
        if let Some(context) = lock(&vm.state).root_mut(root) {
            context.call_response = None;
            context.call_status.1 = "";
        }
        self.core.absorb(vm, called.asked);
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

/// The status of an HTTP call that broke off: the ABI's `BrokenConnection`.
const CALL_RESET: (u32, &str) = (11, "reset");
