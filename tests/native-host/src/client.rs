//! The client's hand on a request that is under way.

use std::sync::Mutex;

use crate::message::Request;
use crate::outcome::Outcome;
use crate::sync::lock;
use crate::worker::Worker;

/// A request that may still be under way: paused by a filter, or waiting for its upstream.
///
/// Dropping it leaves the request where it is; it ends with the host.
#[derive(Debug)]
pub struct ClientStream<'a> {
    worker: &'a Mutex<Worker>,
    id: u64,
    outcome: Option<Outcome>,
}

impl<'a> ClientStream<'a> {
    pub(crate) fn open(worker: &'a Mutex<Worker>, request: &Request) -> Self {
        let has_body = !request.chunks.is_empty();
        let has_trailers = !request.trailers.is_empty();
        let mut stream = Self::start(worker, request, !has_body && !has_trailers);
        stream.send_chunks(request, !has_trailers);
        if has_trailers {
            lock(worker).with_stream(stream.id, |stream, core| stream.receive_trailers(core));
        }
        stream
    }

    pub(crate) fn open_unfinished(worker: &'a Mutex<Worker>, request: &Request) -> Self {
        let mut stream = Self::start(worker, request, false);
        stream.send_chunks(request, false);
        stream
    }

    fn start(worker: &'a Mutex<Worker>, request: &Request, end: bool) -> Self {
        let id = lock(worker).open(request, end);
        Self {
            worker,
            id,
            outcome: None,
        }
    }

    fn send_chunks(&mut self, request: &Request, end: bool) {
        for (index, chunk) in request.chunks.iter().enumerate() {
            let last = index + 1 == request.chunks.len();
            self.send(chunk, last && end);
        }
    }

    fn send(&self, bytes: &[u8], end: bool) {
        let mut worker = lock(self.worker);
        worker.with_stream(self.id, |stream, core| {
            stream.receive_body(core, bytes, end);
        });
    }

    /// Sends a piece of the body.
    pub fn send_body(&self, bytes: impl AsRef<[u8]>) {
        self.send(bytes.as_ref(), false);
    }

    /// Ends the request.
    pub fn end(&self) {
        self.send(b"", true);
    }

    /// Closes the client's connection.
    pub fn disconnect(&self) {
        lock(self.worker).with_stream(self.id, |stream, core| stream.disconnect(core));
    }

    /// Resets the client's HTTP/2 stream.
    pub fn reset(&self) {
        lock(self.worker).with_stream(self.id, |stream, core| stream.reset(core));
    }

    /// Whether the request is over.
    pub fn is_over(&mut self) -> bool {
        if self.outcome.is_none() {
            self.outcome = lock(self.worker).take_outcome(self.id);
        }
        self.outcome.is_some()
    }

    /// What came of the request.
    ///
    /// # Panics
    /// If it is still under way.
    pub fn outcome(mut self) -> Outcome {
        self.is_over();
        match self.outcome {
            Some(outcome) => outcome,
            None => panic!(
                "the request is still under way: {}",
                lock(self.worker).describe(self.id)
            ),
        }
    }
}
