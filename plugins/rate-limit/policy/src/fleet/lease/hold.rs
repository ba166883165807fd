//! Leases whose tokens the service only holds (`Reserve`), until their use is committed.
//!
//! The service says nothing about its windows, so a hold is short: an answer is the only one about its lease, and the next
//! one begins another. A lease is therefore not renewed ahead. Tokens that are left when it ends return to the service.
//!
//! The one who commits must know what was used, so it ends the lease first ([`Leases::close`]): from then on nobody takes
//! or returns a token. This comes before the lease dies, because the tokens of a dead lease are gone.
//!
//! A hold that begins before the last one is closed takes over the tokens that are left. The last one is then committed as
//! if all of them had been used, so each of them is counted once.

use portcullis_core::time::Nanos;

use super::{Lease, Leases, Lot, Step};
use crate::fleet::reserve;

/// A hold lasts one part in this many of a period.
const PART: u64 = 6;
/// But no longer than this.
const LONGEST: Nanos = Nanos::from_secs(10);

/// What is left of a hold that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The tokens that are left. None if another hold has taken them over, or if the key was evicted. Together with those
    /// of the hold before, they can be more than its own.
    pub unused: u32,
}

impl Leases {
    /// How long a hold is used, from the answer on.
    pub fn life(&self) -> Nanos {
        (self.per / PART).min(LONGEST)
    }

    /// How long the service must hold the tokens.
    pub fn ttl(&self) -> Nanos {
        reserve::ttl(self.life(), self.timeout)
    }

    /// When a hold must be [closed](Self::close) that was asked for at this time.
    pub fn closes(&self, asked_at: Nanos) -> Nanos {
        asked_at + self.timeout + self.life()
    }

    /// Begins a hold. Returns false if it would be over.
    pub(super) fn open(lease: &mut Lease, dies: Nanos, now: Nanos) -> bool {
        if now >= dies {
            return false;
        }
        lease.dies = dies;
        let by_time = Lot::of(dies);
        // Two holds of a key can begin at the same time.
        lease.lot = match by_time.0.wrapping_sub(lease.lot.0) as i32 {
            1.. => by_time,
            _ if lease.lot == Lot::NONE => by_time,
            _ => Lot(lease.lot.0.wrapping_add(2) | 1),
        };
        true
    }

    /// Ends the lease of a hold, so that its use can be committed.
    pub fn close(&self, mut lease: Lease, lot: Lot) -> Step<Closed> {
        let mut unused = 0;
        if lot != Lot::NONE && lot == lease.lot {
            unused = std::mem::take(&mut lease.tokens);
            lease.dies = Nanos::ZERO;
        }
        Step {
            lease,
            outcome: Closed { unused },
            wasted: 0,
        }
    }

    /// What response headers show: something only while nothing is left.
    pub(super) fn quota_of_hold(&self, lease: &Lease, now: Nanos) -> Option<(u32, u32, Nanos)> {
        let is_used_up = lease.denied.is_some() && lease.tokens == 0;
        is_used_up.then(|| (self.requests, 0, lease.resets - now))
    }
}
