//! A filter as a test describes it.

use std::collections::BTreeSet;

/// What to do with requests once a filter's VM has died. The names are those of Envoy's
/// `failure_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Every later request on that worker gets 503. Envoy's default.
    #[default]
    Closed,
    /// Later requests on that worker skip the filter. The request during which it died gets 503.
    Open,
    /// A new VM is started and configured for the next request, but not sooner than a second after
    /// the last start; requests before that get 503. Shared data and metrics stay.
    Reload,
}

/// One filter of the chain: a plugin configuration, and the VM it runs in.
///
/// Filters with the same `vm_id`, the same VM configuration and the same `init` share one VM per
/// worker, each with a root context of its own, as plugins of one module do in Envoy.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) config: Vec<u8>,
    pub(crate) vm: VmSpec,
    pub(crate) failure_policy: FailurePolicy,
}

/// What identifies a VM within a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VmSpec {
    pub(crate) vm_id: String,
    pub(crate) config: Vec<u8>,
    pub(crate) init: Init,
    /// Names of host calls and callbacks.
    pub(crate) lacks: BTreeSet<String>,
}

impl VmSpec {
    pub(crate) fn allows(&self, capability: &str) -> bool {
        !self.lacks.contains(capability)
    }
}

/// The module: what its `_initialize` does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Init(pub(crate) fn());

impl PartialEq for Init {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for Init {}

impl Filter {
    /// A filter with an empty configuration. `init` is the body of the module's `_initialize`, in
    /// other words of `proxy_wasm::main!`: it registers the root context.
    pub fn new(name: &str, init: fn()) -> Self {
        Self {
            name: name.to_owned(),
            root_id: String::new(),
            config: Vec::new(),
            vm: VmSpec {
                vm_id: String::new(),
                config: Vec::new(),
                init: Init(init),
                lacks: BTreeSet::new(),
            },
            failure_policy: FailurePolicy::default(),
        }
    }

    /// The plugin configuration, as the filter reads it in on_configure.
    pub fn config(mut self, config: impl AsRef<[u8]>) -> Self {
        self.config = config.as_ref().to_vec();
        self
    }

    /// The plugin's root id; empty unless set.
    pub fn root_id(mut self, root_id: &str) -> Self {
        self.root_id = root_id.to_owned();
        self
    }

    /// The VM's id, which is also the namespace of its shared data; empty unless set.
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        self.vm.vm_id = vm_id.to_owned();
        self
    }

    /// The VM configuration, as the filter reads it in on_vm_start.
    pub fn vm_config(mut self, config: impl AsRef<[u8]>) -> Self {
        self.vm.config = config.as_ref().to_vec();
        self
    }

    /// Takes a capability from the VM, as leaving it out of Envoy's `capability_restriction_config`
    /// does: a host call (`proxy_log`, `clock_time_get`) fails and is logged; a callback
    /// (`proxy_on_log`) never comes.
    pub fn without_capability(mut self, name: &str) -> Self {
        self.vm.lacks.insert(name.to_owned());
        self
    }

    /// What happens after the VM died.
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// Whether this is the same plugin as another one, so that an update keeps it as it is.
    pub(crate) fn is_same_plugin(&self, other: &Self) -> bool {
        (&self.name, &self.root_id, &self.config, &self.vm)
            == (&other.name, &other.root_id, &other.config, &other.vm)
    }
}
