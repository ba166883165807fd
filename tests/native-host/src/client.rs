//! The client's hand on a request that is under way.

use std::sync::{Arc, MutexGuard};

use crate::headers::Headers;
use crate::message::Request;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::sync::lock;
use crate::threads::Threads;
use crate::worker::{Core, Worker};

/// A request that may still be under way: paused by a filter, or waiting for its upstream.
///
/// Dropping it leaves the request where it is; it ends with the host.
#[derive(Debug)]
pub struct ClientStream {
    threads: Arc<Threads>,
    worker: usize,
    id: u64,
    outcome: Option<Outcome>,
}

impl ClientStream {
    /// Sends what there is of a request; unless it is `finished`, more is to come.
    pub(crate) fn open(
        threads: &Arc<Threads>,
        worker: usize,
        request: &Request,
        finished: bool,
    ) -> Self {
        Self {
            threads: Arc::clone(threads),
            worker,
            id: threads.on_worker(worker, |worker| worker.open(request, finished)),
            outcome: None,
        }
    }

    fn act(&self, act: impl FnOnce(&mut Stream, &mut Core)) {
        self.threads
            .on_worker(self.worker, |worker| worker.with_stream(self.id, act));
    }

    /// Sends a piece of the body.
    pub fn send_body(&self, bytes: impl AsRef<[u8]>) {
        self.act(|stream, core| stream.receive_body(core, bytes.as_ref(), false));
    }

    /// Ends the request; with trailers, if the request was given any.
    pub fn end(&self) {
        self.act(Stream::receive_end);
    }

    /// Sends trailers, after those that the request was given, and so ends the request.
    pub fn send_trailers(&self, trailers: &[(&str, &str)]) {
        self.act(|stream, core| stream.receive_trailers(core, trailers));
    }

    /// Closes the client's connection.
    pub fn disconnect(&self) {
        self.act(Stream::disconnect);
    }

    /// Resets the client's HTTP/2 stream.
    pub fn reset(&self) {
        self.act(Stream::reset);
    }

    /// What a filter holds of the stream just now; nothing if it moves, or is over. The response comes
    /// first, where both are held.
    pub fn held(&self) -> Option<Held> {
        self.lock().held(self.id)
    }

    /// Whether the request is over.
    pub fn is_over(&mut self) -> bool {
        if self.outcome.is_none() {
            let outcome = self.lock().take_outcome(self.id);
            self.outcome = outcome;
        }
        self.outcome.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Worker> {
        lock(&self.threads.workers[self.worker])
    }

    /// What came of the request.
    ///
    /// # Panics
    /// If it is still under way.
    #[track_caller]
    pub fn outcome(mut self) -> Outcome {
        self.is_over();
        if let Some(outcome) = self.outcome {
            return outcome;
        }
        let Shared { failures, logs, .. } = &*self.threads.shared;
        let place = self.lock().describe(self.id);
        match failures.report(logs) {
            Some(report) => panic!("the request is still under way: {place}; but {report}"),
            None => panic!("the request is still under way: {place}"),
        }
    }
}

/// What a filter holds of a stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Held {
    /// The name of the filter.
    pub filter: String,
    /// Whether it is the response; the request otherwise.
    pub is_response: bool,
    /// The headers, as they are now. Filters may have let them go already.
    pub headers: Headers,
    /// What the filter has of the body.
    pub body: Vec<u8>,
}
