//! Calls of filters that a test sees, and answers by hand.

use std::fmt;
use std::sync::Arc;

use crate::grpc::service::GrpcReply;
use crate::grpc::wire;
use crate::host::{Host, WorkerHandle};
use crate::logs::Thread;
use crate::message::Request;
use crate::sync::lock;
use crate::threads::Threads;
use crate::upstream::Answer;
use crate::vm::CallKind;
use crate::worker::{ByHand, Worker};

/// A call of a filter that waits for its answer: [`Answer::never`], or some time that has not passed.
///
/// ```
/// # use proxy_wasm as _;
/// # use proxy_wasm_native_host::{Answer, Host, Request, Response};
/// # let host = Host::builder().cluster("idp", |_: &Request| Answer::never()).start()?;
/// for call in host.pending_calls() {
///     assert_eq!(call.cluster(), "idp");
///     call.answer(Response::new(200).body("key"));
/// }
/// # Ok::<(), proxy_wasm_native_host::StartError>(())
/// ```
pub struct PendingCall {
    threads: Arc<Threads>,
    thread: Thread,
    id: u64,
    filter: String,
    cluster: String,
    kind: CallKind,
    request: Request,
    messages: Vec<Vec<u8>>,
}

impl PendingCall {
    fn of(threads: &Arc<Threads>, thread: Thread) -> Vec<Self> {
        let worker = lock(on(threads, thread));
        let calls = worker.calls().map(|(id, call)| Self {
            threads: Arc::clone(threads),
            thread,
            id,
            filter: call.filter.clone(),
            cluster: call.call.cluster.clone(),
            kind: call.call.kind,
            request: call.call.request.clone(),
            messages: call.messages.clone(),
        });
        calls.collect()
    }

    /// The name of the filter.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Where the filter runs.
    pub fn thread(&self) -> Thread {
        self.thread
    }

    /// The cluster that is called.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The request, as the cluster got it.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether it is a gRPC call or stream, or an HTTP call that carries gRPC.
    pub fn is_grpc(&self) -> bool {
        self.kind != CallKind::Http || wire::is_grpc(self.request.headers())
    }

    /// The messages of a gRPC call or stream that were sent so far.
    pub fn messages(&self) -> &[Vec<u8>] {
        &self.messages
    }

    /// Answers in the place of what was to come.
    ///
    /// # Panics
    /// If the call is over.
    #[track_caller]
    pub fn answer(self, answer: impl Into<Answer>) {
        self.by_hand(ByHand::Http(answer.into()));
    }

    /// Answers a gRPC call, or goes on with a gRPC stream.
    ///
    /// # Panics
    /// If the call is over, or is an HTTP call.
    #[track_caller]
    pub fn reply(&self, reply: impl Into<GrpcReply>) {
        assert!(self.is_grpc(), "this is an HTTP call: {self:?}");
        self.by_hand(ByHand::Grpc(reply.into()));
    }

    #[track_caller]
    fn by_hand(&self, answer: ByHand) {
        let there = lock(on(&self.threads, self.thread)).answer_by_hand(self.id, answer);
        assert!(there, "the call is over: {self:?}");
        self.threads.run_posted();
    }
}

fn on(threads: &Threads, thread: Thread) -> &std::sync::Mutex<Worker> {
    match thread {
        Thread::Main => &threads.main,
        Thread::Worker(index) => &threads.workers[index],
    }
}

impl fmt::Debug for PendingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall")
            .field("filter", &self.filter)
            .field("thread", &self.thread)
            .field("cluster", &self.cluster)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// The calls of filters on all threads that wait for their answers.
    pub fn pending_calls(&self) -> Vec<PendingCall> {
        let workers = (0..self.worker_count()).map(Thread::Worker);
        let threads = [Thread::Main].into_iter().chain(workers);
        let calls = threads.flat_map(|thread| PendingCall::of(&self.threads, thread));
        calls.collect()
    }
}

impl WorkerHandle<'_> {
    /// The calls of filters on this worker that wait for their answers.
    pub fn pending_calls(self) -> Vec<PendingCall> {
        PendingCall::of(&self.host.threads, Thread::Worker(self.index))
    }
}
