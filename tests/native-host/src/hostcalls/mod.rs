//! What each host call does, free of pointers. [`abi`](crate::abi) gives them their C form.

mod calls;
mod grpc;
mod maps;
mod stream;

use std::backtrace::Backtrace;
use std::time::Duration;

pub(crate) use self::grpc::GrpcTarget;

use crate::failures::{Failure, FailureKind};
use crate::foreign::CLEAR_ROUTE_CACHE;
use crate::logs::{LogLevel, LogLine};
use crate::properties::{Scope, Visible};
use crate::shared::Shared;
use crate::shared_queue::Owner;
use crate::status::Status;
use crate::sync::lock;
use crate::vm::{Action, VmState};

/// The guest of a VM, in the middle of a call.
pub(crate) struct Guest<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) vm: &'a mut VmState,
}

impl Guest<'_> {
    /// Whether the VM has the capability of this name. As in Envoy, a call without it is logged.
    pub(crate) fn may_call(&mut self, family: &str, name: &str) -> bool {
        let allowed = self.vm.spec.allows(name);
        if !allowed {
            self.shared.logs.push(LogLine {
                level: LogLevel::Error,
                thread: self.vm.thread,
                filter: self.vm.filter_name(),
                stream: self.vm.stream_id(),
                message: format!("Attempted call to restricted {family} capability: {name}"),
            });
        }
        allowed
    }

    pub(crate) fn log(&mut self, level: u32, message: &[u8]) -> Result<(), Status> {
        let level = LogLevel::of(level).ok_or(Status::BadArgument)?;
        if !level.passes(self.vm.log_level) {
            return Ok(());
        }
        self.shared.logs.push(LogLine {
            level,
            thread: self.vm.thread,
            filter: self.vm.filter_name(),
            stream: self.vm.stream_id(),
            message: String::from_utf8_lossy(message).into_owned(),
        });
        Ok(())
    }

    /// Sets the root context's timer; zero stops it.
    pub(crate) fn set_tick_period(&mut self, milliseconds: u32) -> Result<(), Status> {
        let (root, _) = self.vm.root().ok_or(Status::BadArgument)?;
        self.vm.ask(Action::Tick {
            root,
            period: Duration::from_millis(milliseconds.into()),
        });
        Ok(())
    }

    pub(crate) fn set_effective_context(&mut self, context: u32) -> Result<(), Status> {
        if !self.vm.contains(context) {
            return Err(Status::BadArgument);
        }
        self.vm.effective = context;
        Ok(())
    }

    /// A root context that delayed its end says that it is ready. It is deleted when the callback is
    /// over.
    pub(crate) fn done(&mut self) -> Result<(), Status> {
        let (root, _) = self.vm.root().ok_or(Status::NotFound)?;
        if !self.vm.ending.remove(&root) {
            return Err(Status::NotFound);
        }
        self.vm.ask(Action::Done { root });
        Ok(())
    }

    pub(crate) fn get_property(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let (_, root) = self.vm.root().ok_or(Status::NotFound)?;
        let context = self.vm.stream();
        let state = context.map(|stream| (lock(&stream.state), stream.at.filter));
        let stream = state.as_ref().map(|(state, filter)| {
            let view = &state.views[*filter];
            let visible = if view.logging {
                Visible::ALL
            } else {
                Visible {
                    request_headers: view.request.headers,
                    response_headers: view.response.headers,
                    response_trailers: view.response.trailers,
                }
            };
            (&**state, visible)
        });
        let scope = Scope {
            plugin_name: &root.filter.name,
            root_id: &root.filter.root_id,
            vm_id: &self.vm.spec.vm_id,
            defaults: &self.shared.properties,
            stream,
        };
        scope.get(path)
    }

    /// Sets a property of the request, which later filters can read, in other VMs too. Only a path
    /// of one part can be read again.
    pub(crate) fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let stream = self.vm.stream().ok_or(Status::NotFound)?;
        let mut state = lock(&stream.state);
        let properties = &mut state.info.filter_state;
        properties.insert(path.to_vec(), value.to_vec());
        Ok(())
    }

    pub(crate) fn get_shared_data(&self, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        self.shared.shared_data.guest_get(&self.vm.spec.vm_id, key)
    }

    pub(crate) fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let data = &self.shared.shared_data;
        data.guest_set(&self.vm.spec.vm_id, key, value, cas)
    }

    pub(crate) fn register_queue(&self, name: &[u8]) -> Result<u32, Status> {
        let (root, _) = self.vm.root().ok_or(Status::BadArgument)?;
        let owner = Owner {
            thread: self.vm.thread,
            vm: self.vm.id,
            root,
        };
        let queues = &self.shared.queues;
        Ok(queues.register(&self.vm.spec.vm_id, name, owner))
    }

    /// Adds a value to a queue. Its owner is notified after the callback.
    pub(crate) fn enqueue(&mut self, token: u32, value: &[u8]) -> Result<(), Status> {
        let owner = self.shared.queues.enqueue(token, value)?;
        self.vm.ask(Action::Enqueued { owner, token });
        Ok(())
    }

    pub(crate) fn resolve_queue(&self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let vm_id = String::from_utf8_lossy(vm_id);
        let vm_id = if vm_id.is_empty() {
            &self.vm.spec.vm_id
        } else {
            vm_id.as_ref()
        };
        self.shared.queues.resolve(vm_id, name)
    }

    pub(crate) fn define_metric(&mut self, kind: u32, name: &[u8]) -> Result<u32, Status> {
        let name = String::from_utf8_lossy(name);
        self.vm.metrics.define(&self.shared.metrics, kind, &name)
    }

    pub(crate) fn increment_metric(&self, id: u32, by: i64) -> Result<(), Status> {
        self.vm.metrics.increment(&self.shared.metrics, id, by)
    }

    pub(crate) fn record_metric(&self, id: u32, value: u64) -> Result<(), Status> {
        self.vm.metrics.record(&self.shared.metrics, id, value)
    }

    pub(crate) fn get_metric(&self, id: u32) -> Result<u64, Status> {
        self.vm.metrics.get(&self.shared.metrics, id)
    }

    pub(crate) fn call_foreign_function(
        &mut self,
        name: &[u8],
        arguments: &[u8],
    ) -> Result<Vec<u8>, Status> {
        let name = String::from_utf8_lossy(name);
        let functions = &self.shared.foreign;
        if let Some(why) = functions.lacks(&name) {
            self.note_what_is_not_emulated(format!("the foreign function {name:?}; {why}"));
        }
        let result = functions.call(&name, arguments)?;
        let stream = self.vm.stream().filter(|_| name == CLEAR_ROUTE_CACHE);
        if let Some(stream) = stream {
            lock(&stream.state).info.route_stale = true;
        }
        Ok(result)
    }

    /// The guest relies on something that Envoy does and this host does not: the test fails.
    fn note_what_is_not_emulated(&self, message: String) {
        self.shared.failures.push(Failure {
            kind: FailureKind::NotEmulated,
            filter: self.vm.filter_name(),
            thread: self.vm.thread,
            callback: self.vm.callback,
            message,
            backtrace: Some(Backtrace::force_capture()),
            logged_before: self.shared.logs.mark(),
        });
    }
}
