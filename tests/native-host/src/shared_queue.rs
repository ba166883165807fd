//! Shared queues, and whom to tell that a queue has something.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use crate::logs::Thread;
use crate::status::Status;
use crate::sync::lock;

/// The queues of a host, by the `vm_id` and name that they were registered with.
#[derive(Debug, Default)]
pub(crate) struct SharedQueues(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    tokens: BTreeMap<(String, Vec<u8>), u32>,
    queues: BTreeMap<u32, Queue>,
    /// What threads are to be told by other threads.
    posts: Vec<(Thread, QueueReady)>,
}

#[derive(Debug)]
struct Queue {
    items: VecDeque<Vec<u8>>,
    /// The root context that registered the queue last.
    owner: Owner,
}

/// A root context, wherever it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) thread: Thread,
    pub(crate) vm: u64,
    pub(crate) root: u32,
}

/// A root context of some VM is to be told about a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueReady {
    pub(crate) vm: u64,
    pub(crate) root: u32,
    pub(crate) token: u32,
}

impl SharedQueues {
    /// Registering a queue again returns the same token and keeps its values. From then on, the new owner is
    /// notified.
    pub(crate) fn register(&self, vm_id: &str, name: &[u8], owner: Owner) -> u32 {
        let mut queues = lock(&self.0);
        let next = queues.tokens.len() as u32 + 1;
        let key = (vm_id.to_owned(), name.to_vec());
        let token = *queues.tokens.entry(key).or_insert(next);
        let queue = queues.queues.entry(token).or_insert_with(|| Queue {
            items: VecDeque::new(),
            owner,
        });
        queue.owner = owner;
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

    /// Says too who is to be told.
    pub(crate) fn enqueue(&self, token: u32, value: &[u8]) -> Result<Owner, Status> {
        let mut queues = lock(&self.0);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.push_back(value.to_vec());
        Ok(queue.owner)
    }

    /// The number of items in a queue, if there is one of this name.
    pub(crate) fn size(&self, vm_id: &str, name: &str) -> Option<usize> {
        let token = self.resolve(vm_id, name.as_bytes()).ok()?;
        let queues = lock(&self.0);
        Some(queues.queues.get(&token)?.items.len())
    }

    /// Leaves something for another thread.
    pub(crate) fn post(&self, thread: Thread, ready: QueueReady) {
        lock(&self.0).posts.push((thread, ready));
    }

    pub(crate) fn has_posts(&self) -> bool {
        !lock(&self.0).posts.is_empty()
    }

    /// Takes what was left for a thread.
    pub(crate) fn take_posts(&self, thread: Thread) -> Vec<QueueReady> {
        let mut queues = lock(&self.0);
        let mut taken = Vec::new();
        queues.posts.retain(|(to, ready)| {
            let mine = *to == thread;
            if mine {
                taken.push(*ready);
            }
            !mine
        });
        taken
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut queues = lock(&self.0);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }
}
