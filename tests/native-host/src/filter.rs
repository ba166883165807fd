//! A filter as a test describes it.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What to do with requests once a filter's VM has died. The names are those of Envoy's
/// `failure_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
#[derive(Clone)]
pub(crate) struct Init {
    pub(crate) run: Arc<dyn Fn() + Send + Sync>,
    /// Modules with the same identity are the same: VMs of theirs can be shared.
    pub(crate) identity: Identity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// A function, by its address.
    Function(usize),
    /// A closure without captures, by its type.
    Type(TypeId),
    /// A closure with captures, by the address of this one: its clones, and no others, are the same.
    Value(usize),
}

impl Init {
    fn from_closure<F: Fn() + Send + Sync + 'static>(closure: F) -> Self {
        let function = (&raw const closure).cast::<fn()>();
        let is_function = TypeId::of::<F>() == TypeId::of::<fn()>();
        // SAFETY: the closure is a `fn()`, as its type says.
        let function = is_function.then(|| unsafe { function.read() });
        let run = Arc::new(closure);
        let identity = match function {
            Some(function) => Identity::Function(function as usize),
            None if size_of::<F>() == 0 => Identity::Type(TypeId::of::<F>()),
            None => Identity::Value(Arc::as_ptr(&run).addr()),
        };
        Self { run, identity }
    }
}

impl PartialEq for Init {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Init {}

impl fmt::Debug for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

impl Filter {
    /// The filter of a module, with an empty configuration. `proxy_wasm::main!` defines the function
    /// `_initialize`, which registers the root context.
    ///
    /// The name `_initialize` can be defined once in a program. Where a test program has several
    /// filters, let each have a function for the body, call that from `proxy_wasm::main!`, compile
    /// the latter for WebAssembly only, and use [`from_fn`](Self::from_fn) in tests:
    ///
    /// ```
    /// # use proxy_wasm::traits::{Context, RootContext};
    /// # struct Root;
    /// # impl Context for Root {}
    /// # impl RootContext for Root {}
    /// pub fn init() {
    ///     proxy_wasm::set_root_context(|_| Box::new(Root));
    /// }
    ///
    /// #[cfg(target_family = "wasm")]
    /// proxy_wasm::main! {{ init(); }}
    ///
    /// let filter = proxy_wasm_native_host::Filter::from_fn("mine", init);
    /// ```
    pub fn new(name: &str, initialize: extern "C" fn()) -> Self {
        let mut filter = Self::from_fn(name, move || initialize());
        filter.vm.init.identity = Identity::Function(initialize as usize);
        filter
    }

    /// A filter from any function or closure that registers a root context, as the block of
    /// `proxy_wasm::main!` does.
    pub fn from_fn(name: &str, init: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            root_id: String::new(),
            config: Vec::new(),
            vm: VmSpec {
                vm_id: String::new(),
                config: Vec::new(),
                init: Init::from_closure(init),
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
