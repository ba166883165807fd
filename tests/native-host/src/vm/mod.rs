//! One VM: a thread of its own, because the SDK keeps its contexts in thread-local variables.
//!
//! The worker that owns the VM sends it one call at a time and waits for the outcome, so that
//! everything within a worker happens in sequence, as in Envoy.

mod crash;
mod state;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use self::crash::{Local, note_panic_of_the_sdk, with_local};
pub(crate) use self::state::{
    Action, Asked, Context, OutgoingCall, RootContext, StreamContext, StreamPosition, VmState,
    is_complete_request,
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
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It returned this.
    Returned(u32),
    /// The guest panicked; its thread will never run again.
    Died(String),
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Called {
    /// What the guest returned; nothing if it died, or was dead already.
    pub(crate) value: Option<u32>,
    pub(crate) asked: Asked,
}

impl Called {
    /// What the host makes of a callback that the VM lacks the capability for.
    pub(crate) fn not_made(value: u32) -> Self {
        Self {
            value: Some(value),
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
        crash::install_hook();
        let state = Arc::new(Mutex::new(VmState::new(thread, spec.clone())));
        let (calls, incoming) = channel::<Call>();
        let (outgoing, outcomes) = channel();
        let local = Local::new(Arc::clone(shared), Arc::clone(&state), outgoing.clone());
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
            id: shared.next_id(),
            state,
            thread: Mutex::new(Some(VmThread { calls, outcomes })),
        };
        let init = spec.init.0;
        match vm.run(move || {
            crash::initialise(init);
            0
        }) {
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
        guest: impl FnOnce() -> u32 + Send + 'static,
    ) -> Called {
        {
            let mut state = lock(&self.state);
            state.current = context;
            state.effective = 0;
        }
        let value = match self.run(guest) {
            Some(Outcome::Returned(value)) => Some(value),
            Some(Outcome::Died(_)) | None => None,
        };
        let mut state = lock(&self.state);
        state.current = 0;
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        if let Some(misuse) = asked.misuse {
            panic!("{misuse}");
        }
        Called { value, asked }
    }

    /// Makes the guest panic.
    pub(crate) fn crash(&self) {
        self.run(|| panic!("the test made this VM crash"));
    }

    fn run(&self, call: impl FnOnce() -> u32 + Send + 'static) -> Option<Outcome> {
        let mut thread = lock(&self.thread);
        let VmThread { calls, outcomes } = thread.as_ref()?;
        let outcome = match calls.send(Box::new(call)) {
            Ok(()) => outcomes.recv_timeout(PATIENCE),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        match outcome {
            Ok(Outcome::Returned(value)) => Some(Outcome::Returned(value)),
            Ok(Outcome::Died(message)) => {
                // Its thread is parked for ever: there is nothing to wait for when this is dropped.
                *thread = None;
                Some(Outcome::Died(message))
            }
            Err(error) => panic!("a filter did not return from a callback: {error}"),
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
