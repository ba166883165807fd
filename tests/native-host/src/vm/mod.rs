//! One VM: a thread of its own, because the SDK keeps its contexts in thread-local variables.
//!
//! The worker that owns the VM sends it one call at a time and waits for the outcome, so that
//! everything within a worker happens in sequence, as in Envoy.

mod crash;
mod local;
mod module;
mod state;
mod turn;

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use self::crash::{next_symbol, note_panic_of_a_hook};
use self::local::Local;
pub(crate) use self::local::{of_the_guest, with_local};
use self::module::SetUp;
pub(crate) use self::state::{
    Action, Asked, CallKind, Context, OpenGrpc, OutgoingCall, RootContext, StreamContext,
    StreamPosition, VmState, is_complete_request,
};
use crate::filter::VmSpec;
use crate::logs::Thread;
use crate::shared::Shared;
use crate::sync::lock;

/// How long a guest may take for one call, in real time, before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The owner's handle of a VM.
#[derive(Debug)]
pub(crate) struct Vm {
    id: u64,
    pub(crate) state: Arc<Mutex<VmState>>,
    /// Taken when the VM dies or is stopped.
    thread: Mutex<Option<VmThread>>,
}

#[derive(Debug)]
struct VmThread {
    calls: Sender<Call>,
    outcomes: Receiver<Outcome>,
}

type Call = Box<dyn FnOnce() -> u32 + Send>;

/// How a call ended.
pub(crate) enum Outcome {
    /// It returned this.
    Returned(u32),
    /// The guest panicked; its thread will never run again.
    Died(String),
    /// A closure of the test panicked in a host call; the thread will never run again either.
    TestPanicked(Box<dyn Any + Send>),
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Called {
    /// What the guest returned; nothing if it died, or was dead already.
    pub(crate) value: Option<u32>,
    /// What its panic said, if it died of this call.
    pub(crate) died: Option<String>,
    pub(crate) asked: Asked,
}

impl Called {
    /// What the host makes of a callback that the VM lacks the capability for.
    pub(crate) fn not_made(value: u32) -> Self {
        Self {
            value: Some(value),
            died: None,
            asked: Asked::default(),
        }
    }
}

impl Vm {
    /// Starts a VM and initialises its guest; says why if that panics.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        thread: Thread,
        spec: &VmSpec,
    ) -> Result<Self, String> {
        if cfg!(panic = "abort") {
            panic!("the profile has `panic = \"abort\"`: a filter's panic would end the process");
        }
        crash::calibrate();
        let id = shared.next_id();
        let state = Arc::new(Mutex::new(VmState::new(id, thread, spec.clone())));
        let (calls, incoming) = channel::<Call>();
        let (outgoing, outcomes) = channel();
        let local = Local {
            shared: Arc::clone(shared),
            state: Arc::clone(&state),
            outcomes: outgoing.clone(),
        };
        std::thread::Builder::new()
            .name(format!("vm {}", spec.vm_id))
            .spawn(move || {
                local.install();
                for call in incoming {
                    let value = call();
                    if outgoing.send(Outcome::Returned(value)).is_err() {
                        break;
                    }
                }
            })
            .expect("the machine has a thread to spare");
        let vm = Self {
            id,
            state,
            thread: Mutex::new(Some(VmThread { calls, outcomes })),
        };
        let init = Arc::clone(&spec.init.run);
        lock(&vm.state).callback = "_initialize";
        let initialise = move || {
            module::initialise(&*init);
            0
        };
        match vm.run(initialise) {
            Some(Outcome::Died(message)) => Err(message),
            _ => Ok(vm),
        }
    }

    /// A number that no other VM of the host has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the guest has died.
    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.thread).is_none()
    }

    /// Whether the VM has this capability.
    pub(crate) fn allows(&self, capability: &str) -> bool {
        lock(&self.state).spec.allows(capability)
    }

    /// Calls the guest on behalf of a context.
    pub(crate) fn call(
        &self,
        context: u32,
        callback: &'static str,
        guest: impl FnOnce() -> u32 + Send + 'static,
    ) -> Called {
        {
            let mut state = lock(&self.state);
            state.callback = callback;
            state.current = context;
            state.effective = 0;
        }
        let outcome = match callback {
            "proxy_on_vm_start" | "proxy_on_configure" => {
                let mut state = lock(&self.state);
                let key = state.root_mut(context);
                let key = key.map(|root| SetUp::new(&root.filter, callback));
                drop(state);
                self.run(move || match key {
                    Some(key) => module::set_up(key, guest),
                    None => guest(),
                })
            }
            _ => self.run(|| {
                turn::begin();
                let value = guest();
                turn::end();
                value
            }),
        };
        let (value, died) = match outcome {
            Some(Outcome::Returned(value)) => (Some(value), None),
            Some(Outcome::Died(message)) => (None, Some(message)),
            _ => (None, None),
        };
        let mut state = lock(&self.state);
        state.current = 0;
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        if let Some(misuse) = asked.misuse {
            panic!("{misuse}");
        }
        Called { value, died, asked }
    }

    /// Makes the guest panic, which fails no test.
    #[track_caller]
    pub(crate) fn crash(&self) {
        lock(&self.state).deliberate = true;
        self.run(|| panic!("the test made this VM crash"));
    }

    #[track_caller]
    fn run(&self, call: impl FnOnce() -> u32 + Send + 'static) -> Option<Outcome> {
        let mut thread_of_guest = lock(&self.thread);
        let VmThread { calls, outcomes } = thread_of_guest.as_ref()?;
        let outcome = match calls.send(Box::new(call)) {
            Ok(()) => outcomes.recv_timeout(PATIENCE),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        match outcome {
            Ok(Outcome::Returned(value)) => Some(Outcome::Returned(value)),
            Ok(Outcome::Died(message)) => {
                // Its thread is parked for ever: there is nothing to wait for when this is dropped.
                *thread_of_guest = None;
                Some(Outcome::Died(message))
            }
            Ok(Outcome::TestPanicked(payload)) => {
                *thread_of_guest = None;
                drop(thread_of_guest);
                resume_unwind(payload)
            }
            Err(error) => {
                let state = lock(&self.state);
                let (filter, callback) = (state.filter_name(), state.callback);
                drop(state);
                panic!("filter {filter:?} did not return from {callback}: {error}")
            }
        }
    }
}

/// Ends the thread, and waits until the guest's values are dropped, or until it panics over that.
impl Drop for Vm {
    fn drop(&mut self) {
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(VmThread { calls, outcomes }) = thread.take() {
            drop(calls);
            while let Ok(Outcome::Returned(_)) = outcomes.recv_timeout(PATIENCE) {}
        }
    }
}
