//! What services hold for this worker, until it is committed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use portcullis_core::time::Nanos;
use portcullis_host::{Error, GrpcCall, Memo, Worker};
use rate_limit_policy::fleet::reserve::{COMMIT, SERVICE};
use rate_limit_policy::{Hold, HoldKey, RateLimit as Policy};

/// The most holds that a worker keeps. A further one is committed at once, as if all of it had been used.
const MAX_HOLDS: usize = 20_000;

/// The most commits that one callback sends.
pub(crate) const SLICE: usize = 32;

/// The holds of an instance, in one worker; in the library, in the main thread, which receives all answers.
#[derive(Debug, Default)]
pub(crate) struct Holds(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the time when they are due, and a number that makes them different.
    by_time: BTreeMap<(Nanos, u64), Hold>,
    /// The last one that hands out tokens of a key.
    by_key: BTreeMap<HoldKey, (Nanos, u64)>,
    next: u64,
}

/// A commit that was sent: the memo of its response.
#[derive(Debug)]
pub(crate) struct SentCommit(Hold);

impl Holds {
    /// Keeps a hold until it is due.
    pub(crate) fn keep(&self, mut hold: Hold) {
        let kept = &mut *self.0.borrow_mut();
        if kept.by_time.len() >= MAX_HOLDS && hold.key().is_some() {
            hold.use_up();
        }
        let key = hold.key();
        let before = key.and_then(|key| kept.by_key.remove(&key));
        if let Some(mut before) = before.and_then(|at| kept.by_time.remove(&at)) {
            before.replaced();
            kept.insert(before);
        }
        let at = kept.insert(hold);
        if let Some(key) = key {
            kept.by_key.insert(key, at);
        }
    }

    /// Takes a hold that is due.
    pub(crate) fn take_due(&self, now: Nanos) -> Option<Hold> {
        let kept = &mut *self.0.borrow_mut();
        let first = kept.by_time.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let (at, hold) = first.remove_entry();
        if let Some(key) = hold.key()
            && kept.by_key.get(&key) == Some(&at)
        {
            kept.by_key.remove(&key);
        }
        Some(hold)
    }

    /// When the next one is due.
    pub(crate) fn due(&self) -> Option<Nanos> {
        let kept = self.0.borrow();
        kept.by_time.first_key_value().map(|((due, _), _)| *due)
    }
}

impl Kept {
    fn insert(&mut self, hold: Hold) -> (Nanos, u64) {
        let at = (hold.due(), self.next);
        self.next += 1;
        self.by_time.insert(at, hold);
        at
    }
}

impl SentCommit {
    pub(crate) fn hold(&self) -> &Hold {
        &self.0
    }
}

/// Sends a commit.
pub(crate) fn send(
    policy: &Policy,
    hold: Hold,
    message: &[u8],
    worker: &mut Worker,
) -> Result<(), Error> {
    let service = policy.service(hold.service()).ok_or(Error::Malformed)?;
    let path = format!("/{SERVICE}/{COMMIT}");
    let memo: Memo = std::sync::Arc::new(SentCommit(hold));
    let call = GrpcCall {
        cluster: service.cluster(),
        path: &path,
        message,
        timeout: service.timeout().into(),
        memo: Some(&memo),
    };
    worker.grpc_call(&call).map(|_| ())
}
