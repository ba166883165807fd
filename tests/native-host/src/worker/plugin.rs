//! A filter's plugin on one worker: its root context in a VM.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::events::Core;
use crate::filter::{FailurePolicy, Filter, VmSpec};
use crate::metrics::MetricKind;
use crate::state::StreamState;
use crate::sync::lock;
use crate::vm::{Context, RootContext, StreamContext, StreamPosition, Vm};

/// How long Envoy waits, at least, between two starts of a VM. It adds up to half of it at random.
const RELOAD_BACKOFF: Duration = Duration::from_secs(1);

/// A configured root context.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) filter: Arc<Filter>,
    pub(crate) vm: Arc<Vm>,
    pub(crate) root: u32,
}

impl Plugin {
    /// Creates the root context, starts it and configures it.
    fn load(core: &mut Core, filter: &Arc<Filter>, vm: Arc<Vm>) -> Result<Arc<Self>, String> {
        let root = lock(&vm.state).insert(Context::Root(RootContext {
            filter: Arc::clone(filter),
            configuring: false,
            call_response: None,
            call_status: (0, ""),
        }));
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
        let plugin = Self {
            filter: Arc::clone(filter),
            vm,
            root,
        };
        let reason = match (started.value, configured.value) {
            (Some(0), _) => "on_vm_start returned false",
            (_, Some(0)) => "on_configure returned false",
            (_, None) => "it panicked",
            _ => return Ok(Arc::new(plugin)),
        };
        plugin.delete(core);
        Err(reason.to_owned())
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
        if ended {
            self.delete(core);
        }
        ended
    }

    pub(crate) fn delete(&self, core: &mut Core) {
        core.set_timer(Arc::clone(&self.vm), self.root, Duration::ZERO);
        let deleted = self.vm.on_delete(self.root);
        core.absorb(&self.vm, deleted.asked);
        lock(&self.vm.state).remove(self.root);
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
    ) -> Result<Arc<Plugin>, String> {
        self.vms.retain(|(_, vm)| vm.strong_count() > 0);
        let mut fitting = self.vms.iter().filter(|(spec, _)| *spec == filter.vm);
        let alive = fitting.find_map(|(_, vm)| vm.upgrade().filter(|vm| !vm.is_dead()));
        let vm = match alive {
            Some(vm) => vm,
            None => {
                let vm = Arc::new(Vm::start(&core.shared, core.thread, &filter.vm)?);
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

    /// Loads a plugin for the next chain, unless there is one like it.
    pub(crate) fn prepare(&mut self, core: &mut Core, filter: &Arc<Filter>) -> Result<(), String> {
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
                Err(_) => "vm_reload_failure",
            }
        };
        let metrics = &core.shared.metrics;
        let name = format!("wasm.{}.{event}", filter.name);
        metrics.add(MetricKind::Counter, &name, 1);
    }

    /// Makes the VM of a filter of the chain crash.
    pub(crate) fn crash(&self, filter: &str) {
        let mut chain = self.chain.iter().map(|link| &link.plugin);
        match chain.find(|plugin| plugin.filter.name == filter) {
            Some(plugin) => plugin.vm.crash(),
            None => panic!("there is no filter {filter:?}"),
        }
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
