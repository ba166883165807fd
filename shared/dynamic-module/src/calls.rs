//! The calls of streams.
//!
//! The ABI has calls for streams, which end with the stream, and for configurations, in the main thread only. So a worker
//! hands each call over to the main thread. There, the same chain handles the response, and wakes the request in its
//! worker ([`Mailbox`]).

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use portcullis_host::{Call, CallId, Error, Memo, OwnedCall, Status, Woken};

use crate::lock::lock;
use crate::route_config::RouteConfig;
use crate::waiting::Mailbox;

/// The name of the call for errors.
pub(crate) const CALLOUT: &str = "http_filter_config_http_callout";

/// The ids of calls that workers hand over. Envoy numbers its own calls from 1.
const HANDED_OVER: u64 = 1 << 63;

static NEXT_ID: AtomicU64 = AtomicU64::new(HANDED_OVER);

/// A chain in one worker that makes calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) mailbox: Arc<Mailbox>,
    /// The configuration of the route that the chain is for; `None` for the filter's own.
    pub(crate) route: Option<Weak<RouteConfig>>,
}

/// The origin of a call that was handed over.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) id: CallId,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) route: Option<Arc<RouteConfig>>,
}

/// A call on its way to the main thread.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) call: OwnedCall,
    pub(crate) origin: Origin,
}

/// A call whose response has not arrived.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) memo: Option<Memo>,
    /// `None` for a call of the main thread itself.
    pub(crate) origin: Option<Origin>,
}

/// The calls of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    outgoing: Mutex<Vec<Outgoing>>,
    /// By Envoy's ids.
    pending: Mutex<BTreeMap<u64, Pending>>,
    /// Those of all workers, with the ids of their routes' configurations.
    mailboxes: Mutex<Vec<(Option<u64>, Weak<Mailbox>)>>,
}

impl Calls {
    /// Hands a call over. Also returns whether the main thread has to be told.
    pub(crate) fn hand_over(
        &self,
        call: &Call<'_>,
        caller: &Caller,
    ) -> Result<(CallId, bool), Error> {
        let route = match &caller.route {
            // A stream keeps the configuration of its route.
            Some(route) => Some(route.upgrade().ok_or(gone())?),
            None => None,
        };
        let id = CallId::new(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let outgoing = Outgoing {
            call: OwnedCall::new(call),
            origin: Origin {
                id,
                mailbox: Arc::clone(&caller.mailbox),
                route,
            },
        };
        let mut all = lock(&self.outgoing);
        all.push(outgoing);
        Ok((id, all.len() == 1))
    }

    /// The calls that workers have handed over since the last time.
    pub(crate) fn take_outgoing(&self) -> Vec<Outgoing> {
        take(&mut *lock(&self.outgoing))
    }

    /// Remembers a call by Envoy's id.
    pub(crate) fn add_pending(&self, id: u64, pending: Pending) {
        lock(&self.pending).insert(id, pending);
    }

    /// The call whose response has arrived.
    pub(crate) fn take_pending(&self, id: u64) -> Option<Pending> {
        lock(&self.pending).remove(&id)
    }

    /// Adds the mailbox of a chain in a worker.
    pub(crate) fn add_mailbox(&self, route: Option<u64>, mailbox: &Arc<Mailbox>) {
        let mut mailboxes = lock(&self.mailboxes);
        mailboxes.retain(|(_, mailbox)| mailbox.strong_count() > 0);
        mailboxes.push((route, Arc::downgrade(mailbox)));
    }

    /// Wakes requests in the workers, because the chain in the main thread has done so. `origin` is that of the call whose
    /// response it handled.
    pub(crate) fn wake(&self, route: Option<u64>, woken: &Woken, origin: Option<&Origin>) {
        if woken.is_none() {
            return;
        }
        if let Some(origin) = origin
            && !woken.all
            && woken.callers == [origin.id]
        {
            origin.mailbox.wake(woken);
            return;
        }
        let mailboxes = lock(&self.mailboxes);
        let of_chain = mailboxes.iter().filter(|(it, _)| *it == route);
        let of_chain: Vec<_> = of_chain.filter_map(|(_, it)| it.upgrade()).collect();
        drop(mailboxes);
        for mailbox in of_chain {
            mailbox.wake(woken);
        }
    }
}

fn gone() -> Error {
    Error::of(CALLOUT)(Status::InternalFailure)
}
