//! Whether a service can be asked: one state for each service, shared by all workers.
//!
//! A service that has failed [three times](OPENS_AFTER) without a success in between is **out**. Nobody calls it
//! then, except for one probe at a time, after a back-off with jitter. The first probe that succeeds ends the outage.
//!
//! Answers to calls that were sent before the outage began say nothing about it: they neither end nor prolong it. A
//! probe that is lost, with its worker or its answer, is replaced after the timeout.
//!
//! # The change to and fro
//!
//! `on_outage` decides about a request that needs a token while there is none. Tokens of a lease that is not dead
//! still count: they are taken first.
//!
//! With `local`, the limit's own algorithm counts in this process, at the limit's own rate. It begins with what the
//! service had counted in this window ([`Leases::go_local`]), so a key that has used up its limit stays denied. A lost
//! call is enough for that, and the next answer takes the key back; what the service has counted is raised to, not
//! added, so it counts once however often this happens.
//!
//! What it admits is a debt ([`Leases::admit`]) that the first call after the outage adds, so the rest of the window
//! counts it. The debts of a window are at most what the service had left there, or the limit, if it has not answered
//! in that window: algorithms that refill within a window would admit more. Each proxy counts for itself meanwhile:
//! behind *n* proxies, a client gets at most *n* times the rest of its limit in the window in which the outage begins,
//! and at most *n* times the limit in those that follow.
//!
//! With `allow`, requests pass uncounted. With `deny`, they are denied with the reason `unavailable`.
//!
//! [`Leases::go_local`]: super::lease::Leases::go_local
//! [`Leases::admit`]: super::lease::Leases::admit

use portcullis_core::backoff::{Backoff, Jitter};
use portcullis_core::time::Nanos;
use portcullis_table::State;

/// The number of failures in a row from which on a service is out.
pub const OPENS_AFTER: u32 = 3;

/// The time until the next probe.
const BACKOFF: Backoff = Backoff {
    base: Nanos::from_millis(250),
    factor: 2,
    max: Nanos::from_secs(10),
    jitter: Jitter::Equal,
};

/// The state of a service. The default is that of a service that answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures since the last success.
    failures: u32,
    /// When the outage began.
    since: Nanos,
    /// When the next probe may be sent.
    retry_at: Nanos,
    /// Until when another probe is awaited; 0 if none is.
    probe_ends: Nanos,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The service answers.
    Yes,
    /// The service is out, and a probe is due: the call must be [claimed](Health::claim).
    Probe,
    /// The service is out.
    No {
        /// When this may change.
        until: Nanos,
    },
}

impl Health {
    /// Whether the service is out.
    pub fn is_out(self) -> bool {
        self.failures >= OPENS_AFTER
    }

    /// How long the service has been out.
    pub fn out_for(self, now: Nanos) -> Option<Nanos> {
        self.is_out().then(|| now - self.since)
    }

    /// Whether a call may be made.
    pub fn access(self, now: Nanos) -> Access {
        let until = self.retry_at.max(self.probe_ends);
        match self.is_out() {
            false => Access::Yes,
            true if now < until => Access::No { until },
            true => Access::Probe,
        }
    }

    /// Claims a call, which takes at most `timeout`. Returns false if it must not be made.
    pub fn claim(mut self, timeout: Nanos, now: Nanos) -> (Self, bool) {
        let access = self.access(now);
        if access == Access::Probe {
            self.probe_ends = now + timeout;
        }
        (self, !matches!(access, Access::No { .. }))
    }

    /// A call was answered, whatever the answer.
    #[must_use]
    pub fn succeeded(self, asked_at: Nanos) -> Self {
        match self.is_out() && asked_at < self.since {
            true => self,
            false => Self::default(),
        }
    }

    /// A call has failed. `random` is any number, evenly distributed.
    #[must_use]
    pub fn failed(mut self, asked_at: Nanos, random: u64, now: Nanos) -> Self {
        if self.is_out() && asked_at < self.since {
            return self;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures == OPENS_AFTER {
            self.since = now;
        }
        if let Some(attempt) = self.failures.checked_sub(OPENS_AFTER) {
            self.retry_at = now + BACKOFF.delay(attempt, random);
            self.probe_ends = Nanos::ZERO;
        }
        self
    }
}

impl State for Health {
    type Bytes = [u8; 28];

    const HAS_FLOOR: bool = false;

    fn to_bytes(self) -> [u8; 28] {
        let times = [self.since, self.retry_at, self.probe_ends];
        let times = times.into_iter().flat_map(|time| time.get().to_le_bytes());
        let encoded = self.failures.to_le_bytes().into_iter().chain(times);
        let mut bytes = [0; 28];
        bytes
            .iter_mut()
            .zip(encoded)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: [u8; 28]) -> Self {
        let [a, b, c, d, times @ ..] = bytes;
        let (times, _) = times.as_chunks();
        let mut times = times
            .iter()
            .map(|time| Nanos::new(u64::from_le_bytes(*time)));
        let mut time = || times.next().unwrap_or_default();
        Self {
            failures: u32::from_le_bytes([a, b, c, d]),
            since: time(),
            retry_at: time(),
            probe_ends: time(),
        }
    }
}
