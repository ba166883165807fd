//! Shared queues: kept, but nobody is told that a queue has something (see GAPS.md).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use crate::status::Status;
use crate::sync::lock;

/// The queues of a host, by the `vm_id` and name that they were registered with.
#[derive(Debug, Default)]
pub(crate) struct SharedQueues(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    tokens: BTreeMap<(String, Vec<u8>), u32>,
    queues: BTreeMap<u32, VecDeque<Vec<u8>>>,
}

impl SharedQueues {
    /// Registering a queue again gives the same token and keeps what is in it.
    pub(crate) fn register(&self, vm_id: &str, name: &[u8]) -> u32 {
        let mut queues = lock(&self.0);
        let next = queues.tokens.len() as u32 + 1;
        let key = (vm_id.to_owned(), name.to_vec());
        let token = *queues.tokens.entry(key).or_insert(next);
        queues.queues.entry(token).or_default();
        token
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Result<u32, Status> {
        let key = (vm_id.to_owned(), name.to_vec());
        lock(&self.0)
            .tokens
            .get(&key)
            .copied()
            .ok_or(Status::NotFound)
    }

    pub(crate) fn enqueue(&self, token: u32, value: &[u8]) -> Result<(), Status> {
        let mut queues = lock(&self.0);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.push_back(value.to_vec());
        Ok(())
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut queues = lock(&self.0);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.pop_front().ok_or(Status::Empty)
    }
}
