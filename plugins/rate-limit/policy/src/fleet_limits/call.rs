//! One call to a service, from the request that causes it to the answer.
//!
//! The answer may arrive in another thread than the request waits in, and after the request has gone. So both sides
//! share the call, and each hit has one owner at any time: the call until it is answered, then the request if it still
//! waits, and otherwise the one that handles the answer, who gives it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use portcullis_core::time::Nanos;
use portcullis_table::KeyHash;
use smallvec::SmallVec;

use super::additions::Additions;
use super::services::ServiceId;
use crate::LimitId;
use crate::fleet::config::Protocol;
use crate::fleet::lease::{Taken, Ticket};
use crate::fleet::{messages, reserve};
use crate::limiter::Quota;

/// A call to a service.
#[derive(Debug)]
pub struct Call {
    pub(super) service: ServiceId,
    pub(super) protocol: Protocol,
    pub(super) message: Vec<u8>,
    /// The length of the part that the commit repeats, if there will be one.
    pub(super) target: usize,
    pub(super) asked_at: Nanos,
    pub(super) parts: SmallVec<[Part; 1]>,
    /// Whether its end was reported.
    is_reported: AtomicBool,
    progress: Mutex<Progress>,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) protocol: Protocol,
    pub(super) message: Vec<u8>,
    pub(super) target: usize,
}

/// What a call asks for one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) counted: Counted,
    pub(super) hits: Hits,
}

/// A cost of a key under a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) limit: LimitId,
    pub(crate) key: KeyHash,
    pub(crate) cost: u32,
    /// The number of requests in the limit's period, for this request.
    pub(crate) requests: u32,
}

/// The hits that are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hits {
    /// For a lease.
    Lease(Ticket),
    /// For one request.
    Each(u32),
}

impl Hits {
    pub(super) fn count(self) -> u32 {
        match self {
            Self::Lease(ticket) => ticket.hits,
            Self::Each(hits) => hits,
        }
    }
}

/// Who owns the hits of the call.
#[derive(Debug)]
enum Progress {
    /// A request waits for the answer.
    Awaited,
    /// No request waits.
    Alone {
        /// Whether a request has passed with the hits that it costs.
        is_used: bool,
    },
    /// The answer is here, and the request has not seen it.
    Answered(Reception),
    /// The request has seen the answer.
    Received,
}

/// What an answer means for the request that waits for it.
#[derive(Debug)]
pub(super) struct Reception {
    /// By part.
    pub(super) results: SmallVec<[PartResult; 1]>,
    pub(super) additions: Option<Box<Additions>>,
}

/// What an answer means for one limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum PartResult {
    Granted {
        taken: Taken,
        quota: Option<Quota>,
    },
    Denied {
        wait: Nanos,
        quota: Option<Quota>,
    },
    /// The request should make this call.
    AskLess(Ticket),
    Failed,
}

impl Call {
    /// `is_awaited`: a request waits. Otherwise it has passed, with the hits that it costs.
    pub(super) fn new(
        service: ServiceId,
        request: Request,
        parts: SmallVec<[Part; 1]>,
        is_awaited: bool,
        now: Nanos,
    ) -> Self {
        let progress = match is_awaited {
            true => Progress::Awaited,
            false => Progress::Alone { is_used: true },
        };
        Self {
            service,
            protocol: request.protocol,
            message: request.message,
            target: request.target,
            asked_at: now,
            parts,
            is_reported: AtomicBool::new(false),
            progress: Mutex::new(progress),
        }
    }

    /// The service to call.
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// The path of the method.
    pub fn path(&self) -> String {
        let (service, method) = match self.protocol {
            Protocol::Envoy => (messages::SERVICE, messages::METHOD),
            Protocol::Reserve => (reserve::SERVICE, reserve::RESERVE),
        };
        format!("/{service}/{method}")
    }

    /// The message to send.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Whether this is the first report of its end.
    pub(super) fn report(&self) -> bool {
        !self.is_reported.swap(true, Ordering::Relaxed)
    }

    /// The answer, for the request that waits.
    pub(super) fn receive(&self) -> Option<Reception> {
        self.exchange(|progress| match progress {
            Progress::Answered(reception) => (Progress::Received, Some(reception)),
            other => (other, None),
        })
    }

    /// The request waits no longer. Returns the answer if it is here.
    pub(super) fn leave(&self) -> Option<Reception> {
        self.exchange(|progress| match progress {
            Progress::Awaited => (Progress::Alone { is_used: false }, None),
            Progress::Answered(reception) => (Progress::Received, Some(reception)),
            other => (other, None),
        })
    }

    /// The answer is here. If no request waits, it comes back, with whether the hits are used.
    pub(super) fn answer(&self, reception: Reception) -> Option<(Reception, bool)> {
        self.exchange(|progress| match progress {
            Progress::Awaited => (Progress::Answered(reception), None),
            Progress::Alone { is_used } => (Progress::Received, Some((reception, is_used))),
            other => (other, Some((reception, false))),
        })
    }

    fn exchange<T>(&self, change: impl FnOnce(Progress) -> (Progress, T)) -> T {
        let progress = self.progress.lock();
        let progress = &mut *progress.unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(progress, Progress::Received);
        let (new, outcome) = change(old);
        *progress = new;
        outcome
    }
}
