//! The tables of a policy.

use super::{Compiled, RateLimit};

/// The table that a limit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The number of blocks; 0 if it needs no table.
    pub blocks: u32,
    /// Tables with the same identity, of the same plugin instance, are one table.
    pub identity: u64,
}

impl RateLimit {
    /// The tables: first those of the counts of all limits, in the same order, and then those of their leases.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        let counts = self
            .limits
            .iter()
            .map(|Compiled { limit, blocks, .. }| Table {
                blocks: *blocks,
                identity: limit.identity(*blocks),
            });
        counts.chain(self.lease_tables())
    }

    /// Without a fleet, there are none.
    fn lease_tables(&self) -> impl Iterator<Item = Table> {
        let limits = self.limits.iter().filter(|_| self.has_fleets);
        limits.map(|compiled| {
            let limit = &compiled.limit;
            let fleet = compiled.fleet.as_ref();
            let blocks = fleet.map_or(0, |fleet| fleet.blocks);
            let service = fleet.and_then(|fleet| self.service(fleet.service));
            Table {
                blocks,
                identity: limit.lease_identity(service, blocks),
            }
        })
    }
}
