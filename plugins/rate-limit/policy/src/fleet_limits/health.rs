//! Whether services can be called, as all workers know it.

use portcullis_core::time::Nanos;
use portcullis_table::Store;

use super::ledger::Ledger;
use super::services::{ServiceId, Services};
use crate::fleet::outage::Access;

impl<S: Store, H: Services> Ledger<'_, S, H> {
    /// Whether a request may wait for a service now.
    pub(super) fn can_ask(&mut self, service: ServiceId) -> bool {
        let health = self.services.state(service).health;
        !matches!(health.access(self.now), Access::No { .. }) && self.services.may_wait(service)
    }

    /// Whether a service may be called now. While it is out, this claims its next probe.
    pub(super) fn claim(&mut self, service: ServiceId) -> bool {
        let now = self.now;
        match self.services.state(service).health.access(now) {
            Access::Yes => true,
            Access::No { .. } => false,
            Access::Probe => {
                let timeout = self.policy.service(service).map(|it| it.timeout());
                let timeout = timeout.unwrap_or_default();
                let claimed = self.services.update(service, |mut state| {
                    let (health, claimed) = state.health.claim(timeout, now);
                    state.health = health;
                    (state, claimed)
                });
                claimed.unwrap_or(false)
            }
        }
    }

    /// `is_terse`: whether the answer has no statuses; `None` if the call has failed. Returns whether the service is out
    /// now, if that has changed.
    pub(super) fn report_health(
        &mut self,
        service: ServiceId,
        asked_at: Nanos,
        is_terse: Option<bool>,
        random: u64,
    ) -> Option<bool> {
        let now = self.now;
        let changed = self.services.update(service, |mut state| {
            let was_out = state.health.is_out();
            state.health = match is_terse {
                Some(_) => state.health.succeeded(asked_at),
                None => state.health.failed(asked_at, random, now),
            };
            state.is_terse = is_terse.unwrap_or(state.is_terse);
            let is_out = state.health.is_out();
            (state, (is_out != was_out).then_some(is_out))
        });
        // Without the state, the service counts as one that answers.
        changed.flatten()
    }
}
