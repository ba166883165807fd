//! The client's hand on a request that is under way.

use std::sync::{Arc, Mutex};

use crate::message::Request;
use crate::outcome::Outcome;
use crate::sync::lock;
use crate::worker::Worker;

/// A request that may still be under way: paused by a filter, or waiting for its upstream.
///
/// Dropping it leaves the request where it is; it ends with the host.
#[derive(Debug)]
pub struct ClientStream {
    worker: Arc<Mutex<Worker>>,
    id: u64,
    outcome: Option<Outcome>,
}

impl ClientStream {
    /// Sends what there is of a request; unless it is `finished`, more is to come.
    pub(crate) fn open(worker: &Arc<Mutex<Worker>>, request: &Request, finished: bool) -> Self {
        Self {
            worker: Arc::clone(worker),
            id: lock(worker).open(request, finished),
            outcome: None,
        }
    }

    fn send(&self, bytes: &[u8], end: bool) {
        lock(&self.worker).with_stream(self.id, |stream, core| {
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
        lock(&self.worker).with_stream(self.id, |stream, core| stream.disconnect(core));
    }

    /// Resets the client's HTTP/2 stream.
    pub fn reset(&self) {
        lock(&self.worker).with_stream(self.id, |stream, core| stream.reset(core));
    }

    /// Whether the request is over.
    pub fn is_over(&mut self) -> bool {
        if self.outcome.is_none() {
            self.outcome = lock(&self.worker).take_outcome(self.id);
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
                lock(&self.worker).describe(self.id)
            ),
        }
    }
}
