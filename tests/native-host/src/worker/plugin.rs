//! A filter's plugin on one worker: its root context in a VM.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::events::Core;
use crate::failures::{Failure, FailureKind};
use crate::filter::{FailurePolicy, Filter, VmSpec};
use crate::metrics::MetricKind;
use crate::state::StreamState;
use crate::sync::lock;
use crate::vm::{Context, RootContext, StreamContext, StreamPosition, Vm};

/// How long Envoy waits, at least, between two starts of a VM. It adds up to half of it at random.
const RELOAD_BACKOFF: Duration = Duration::from_secs(1);

/// Why a plugin did not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) callback: &'static str,
    /// Its VM is dead, and that is noted as a crash.
    pub(crate) crashed: bool,
}

/// What to do about a logger that is there already.
const ONE_LOGGER: &str = "\n(natively there is one logger in the process, for all filters and all VMs: \
    let the filter go on if log::set_logger fails. If filters that call proxy_wasm::set_log_level are \
    tested in the same program, call that first in each test.)";

impl Refusal {
    fn crash(vm: Option<&Vm>, message: &str) -> Self {
        let callback = vm.map_or("_initialize", |vm| lock(&vm.state).callback);
        let mut reason = format!("it crashed in {callback}: {message}");
        if message.contains("SetLoggerError") {
            reason.push_str(ONE_LOGGER);
        }
        Self {
            reason,
            callback,
            crashed: true,
        }
    }

    fn of(callback: &'static str) -> Self {
        let name = callback.trim_start_matches("proxy_");
        Self {
            reason: format!("{name} returned false"),
            callback,
            crashed: false,
        }
    }
}

/// A configured root context.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) filter: Arc<Filter>,
    pub(crate) vm: Arc<Vm>,
    pub(crate) root: u32,
}

impl Plugin {
    /// Creates the root context, starts it and configures it.
    fn load(core: &mut Core, filter: &Arc<Filter>, vm: Arc<Vm>) -> Result<Arc<Self>, Refusal> {
        let root = lock(&vm.state).insert(Context::Root(RootContext::new(Arc::clone(filter))));
        let configuring = |now: bool| {
            if let Some(root) = lock(&vm.state).root_mut(root) {
                root.configuring = now;
            }
        };
        let created = vm.on_context_create(root, 0);
        core.absorb(&vm, created.asked);
        let started = vm.on_vm_start(root, filter.vm.config.len());
        core.absorb(&vm, started.asked);
        configuring(true);
        let configured = vm.on_configure(root, filter.config.len());
        configuring(false);
        core.absorb(&vm, configured.asked);
        let deaths = [created.died, started.died, configured.died];
        let death = deaths.into_iter().flatten().next();
        let refusal = match (death, started.value, configured.value) {
            (Some(message), ..) => Refusal::crash(Some(&vm), &message),
            (_, Some(0), _) => Refusal::of("proxy_on_vm_start"),
            (_, _, Some(0)) => Refusal::of("proxy_on_configure"),
            _ => {
                let filter = Arc::clone(filter);
                return Ok(Arc::new(Self { filter, vm, root }));
            }
        };
        let filter = Arc::clone(filter);
        Self { filter, vm, root }.delete(core);
        Err(refusal)
    }

    /// Creates a context for a stream, unless the guest panics over it.
    pub(crate) fn open(
        &self,
        core: &mut Core,
        at: StreamPosition,
        state: &Arc<Mutex<StreamState>>,
    ) -> Option<u32> {
        let context = lock(&self.vm.state).insert(Context::Stream(StreamContext {
            root: self.root,
            at,
            state: Arc::clone(state),
        }));
        let created = self.vm.on_context_create(context, self.root);
        core.absorb(&self.vm, created.asked);
        created.value.map(|_| context)
    }

    /// Tells the guest that the root context ends. Says whether that is so now; a guest may take its
    /// time until it calls `proxy_done`.
    pub(crate) fn end(&self, core: &mut Core) -> bool {
        let done = self.vm.on_done(self.root);
        core.absorb(&self.vm, done.asked);
        let ended = done.value != Some(0);
        if !ended {
            lock(&self.vm.state).ending.insert(self.root);
        } else {
            self.delete(core);
        }
        ended
    }

    pub(crate) fn delete(&self, core: &mut Core) {
        core.set_timer(Arc::clone(&self.vm), self.root, Duration::ZERO);
        let deleted = self.vm.on_delete(self.root);
        core.absorb(&self.vm, deleted.asked);
        let mut state = lock(&self.vm.state);
        state.ending.remove(&self.root);
        state.remove(self.root);
    }
}

/// The plugins and VMs that a worker has.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    /// The chain that new streams get.
    chain: Vec<Link>,
    /// Plugins that were loaded for the next chain.
    prepared: Vec<Arc<Plugin>>,
    /// Plugins that were in the chain and are still used by streams.
    retired: Vec<Arc<Plugin>>,
    /// Plugins whose guest is not ready to end.
    ending: Vec<Arc<Plugin>>,
    vms: Vec<(VmSpec, Weak<Vm>)>,
}

#[derive(Debug)]
struct Link {
    plugin: Arc<Plugin>,
    loaded: Duration,
}

/// What a stream gets for one filter of the chain.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) filter: Arc<Filter>,
    /// None if the VM is dead and the filter fails closed.
    pub(crate) plugin: Option<Arc<Plugin>>,
    /// The stream's context, once it exists.
    pub(crate) context: Option<u32>,
    /// Whether the stream was answered because this filter's VM is dead. The filter sees nothing of
    /// the stream any more then.
    pub(crate) failed: bool,
}

impl Plugins {
    /// Loads a plugin into a VM that fits it, starting one if there is none.
    pub(crate) fn load(
        &mut self,
        core: &mut Core,
        filter: &Arc<Filter>,
    ) -> Result<Arc<Plugin>, Refusal> {
        self.vms.retain(|(_, vm)| vm.strong_count() > 0);
        let mut fitting = self.vms.iter().filter(|(spec, _)| *spec == filter.vm);
        let alive = fitting.find_map(|(_, vm)| vm.upgrade().filter(|vm| !vm.is_dead()));
        let vm = match alive {
            Some(vm) => vm,
            None => {
                let vm = Vm::start(&core.shared, core.thread, &filter.vm)
                    .map_err(|message| Refusal::crash(None, &message))?;
                let vm = Arc::new(vm);
                self.vms.push((filter.vm.clone(), Arc::downgrade(&vm)));
                vm
            }
        };
        Plugin::load(core, filter, vm)
    }

    /// A plugin with the same configuration whose VM lives.
    pub(crate) fn find(&self, filter: &Filter) -> Option<Arc<Plugin>> {
        let chain = self.chain.iter().map(|link| &link.plugin);
        let mut known = chain.chain(&self.prepared);
        known
            .find(|plugin| plugin.filter.is_same_plugin(filter) && !plugin.vm.is_dead())
            .cloned()
    }

    /// The VM of this number, if it lives and has this root context.
    pub(crate) fn vm_with_root(&self, vm: u64, root: u32) -> Option<Arc<Vm>> {
        let mut vms = self.vms.iter().filter_map(|(_, vm)| vm.upgrade());
        let vm = vms.find(|other| other.id() == vm)?;
        let there = !vm.is_dead() && lock(&vm.state).contains(root);
        there.then_some(vm)
    }

    /// Loads a plugin for the next chain, unless there is one like it.
    pub(crate) fn prepare(&mut self, core: &mut Core, filter: &Arc<Filter>) -> Result<(), Refusal> {
        if self.find(filter).is_none() {
            let plugin = self.load(core, filter)?;
            self.prepared.push(plugin);
        }
        Ok(())
    }

    /// Forgets what was prepared for a chain that is not going to be.
    pub(crate) fn discard_prepared(&mut self) {
        let prepared = std::mem::take(&mut self.prepared);
        self.retire(prepared);
    }

    /// Makes this the chain for new streams, of plugins that are in the chain or prepared.
    pub(crate) fn set_chain(&mut self, core: &Core, filters: &[Arc<Filter>]) {
        let loaded = core.shared.clock.monotonic();
        let plugins = filters.iter().filter_map(|filter| self.find(filter));
        let chain: Vec<_> = plugins.map(|plugin| Link { plugin, loaded }).collect();
        let old = std::mem::replace(&mut self.chain, chain);
        self.prepared.clear();
        let kept = |plugin: &Arc<Plugin>| {
            let mut chain = self.chain.iter();
            chain.any(|link| Arc::ptr_eq(&link.plugin, plugin))
        };
        let gone = old.into_iter().map(|link| link.plugin);
        let gone: Vec<_> = gone.filter(|plugin| !kept(plugin)).collect();
        self.retire(gone);
    }

    /// Takes plugins out of use; the same plugin may have been in the chain twice.
    fn retire(&mut self, plugins: Vec<Arc<Plugin>>) {
        for plugin in plugins {
            if !self.retired.iter().any(|other| Arc::ptr_eq(other, &plugin)) {
                self.retired.push(plugin);
            }
        }
    }

    /// The slots for a new stream. VMs that died are started again here, if the policy says so.
    pub(crate) fn slots(&mut self, core: &mut Core) -> Vec<Slot> {
        let mut slots = Vec::new();
        for index in 0..self.chain.len() {
            if self.chain[index].plugin.vm.is_dead() {
                self.reload(core, index);
            }
            let plugin = &self.chain[index].plugin;
            let dead = plugin.vm.is_dead();
            if dead && plugin.filter.failure_policy == FailurePolicy::Open {
                continue;
            }
            slots.push(Slot {
                filter: Arc::clone(&plugin.filter),
                plugin: (!dead).then(|| Arc::clone(plugin)),
                context: None,
                failed: false,
            });
        }
        slots
    }

    fn reload(&mut self, core: &mut Core, index: usize) {
        let filter = Arc::clone(&self.chain[index].plugin.filter);
        if filter.failure_policy != FailurePolicy::Reload {
            return;
        }
        let now = core.shared.clock.monotonic();
        let event = if now < self.chain[index].loaded + RELOAD_BACKOFF {
            "vm_reload_backoff"
        } else {
            self.chain[index].loaded = now;
            match self.load(core, &filter) {
                Ok(plugin) => {
                    self.chain[index].plugin = plugin;
                    "vm_reload_success"
                }
                Err(reason) => {
                    self.note_refusal(core, &filter, reason);
                    "vm_reload_failure"
                }
            }
        };
        let metrics = &core.shared.metrics;
        let name = format!("wasm.{}.{event}", filter.name);
        metrics.add(MetricKind::Counter, &name, 1);
    }

    /// A VM that was to be reloaded does not start. If it crashed, that is known already.
    fn note_refusal(&self, core: &Core, filter: &Filter, refusal: Refusal) {
        if refusal.crashed {
            return;
        }
        core.shared.failures.push(Failure {
            kind: FailureKind::Crash,
            filter: filter.name.clone(),
            thread: core.thread,
            callback: refusal.callback,
            message: format!("the VM is not reloaded: {}", refusal.reason),
            backtrace: None,
            logged_before: core.shared.logs.mark(),
        });
    }

    /// The plugin of a filter of the chain.
    pub(crate) fn of_filter(&self, filter: &str) -> Option<Arc<Plugin>> {
        let mut chain = self.chain.iter().map(|link| &link.plugin);
        chain.find(|plugin| plugin.filter.name == filter).cloned()
    }

    /// Ends the retired plugins that no stream uses any more.
    pub(crate) fn collect(&mut self, core: &mut Core) {
        let retired = std::mem::take(&mut self.retired);
        for plugin in retired {
            if Arc::strong_count(&plugin) > 1 {
                self.retired.push(plugin);
            } else if !plugin.vm.is_dead() && !plugin.end(core) {
                self.ending.push(plugin);
            }
        }
    }

    /// A root context says that it is ready to end.
    pub(crate) fn finish_ending(&mut self, core: &mut Core, vm: &Arc<Vm>, root: u32) {
        let is_it = |plugin: &Arc<Plugin>| Arc::ptr_eq(&plugin.vm, vm) && plugin.root == root;
        if let Some(index) = self.ending.iter().position(is_it) {
            self.ending.swap_remove(index).delete(core);
        }
    }

    /// Ends all plugins, those too that would like to take their time.
    pub(crate) fn shut_down(&mut self, core: &mut Core) {
        let chain = std::mem::take(&mut self.chain);
        self.retire(chain.into_iter().map(|link| link.plugin).collect());
        self.collect(core);
        for plugin in std::mem::take(&mut self.ending) {
            plugin.delete(core);
        }
    }
}
