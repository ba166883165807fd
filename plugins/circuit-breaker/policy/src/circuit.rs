//! Operations on the circuit of a key in the table.

use super::admission::Held;
use super::machine::{CircuitEvents, Machine, Report, State, Ticket};
use super::snapshot::{Change, KeyState};
use super::{BreakerId, CircuitBreaker};
use portcullis_core::breaker_snapshot::{Entry, Phase, SlotAddress};
use portcullis_core::time::Nanos;
use portcullis_table::{Block, Edit, GaveUp, KeyHash, Store, TableEvents, WhenFull};

/// Side effects of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Side effects on the circuit.
    pub circuit: CircuitEvents,
    /// Side effects on the table.
    pub table: TableEvents,
    /// Changes to record in the snapshot, in this order.
    pub changes: Vec<Change>,
}

/// A circuit, by its key, and its label for people.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    pub(super) key: KeyHash,
    pub(super) label: String,
}

impl CircuitBreaker {
    /// Records how a request ended.
    pub(super) fn record<S: Store>(
        &self,
        id: BreakerId,
        circuit: &Circuit,
        report: Report,
        now: Nanos,
        store: &mut S,
    ) -> Result<Effects, GaveUp> {
        let recorded = self.change(id, circuit, now, store, |machine, state| {
            let (state, events) = machine.record(state, now, report);
            (state, (), events)
        });
        recorded.map(|((), effects)| effects)
    }

    /// Records the progress of a probe, and updates its ticket.
    pub(super) fn advance<S: Store>(
        &self,
        id: BreakerId,
        held: &mut Held,
        now: Nanos,
        store: &mut S,
        step: impl Fn(&Machine, State, Ticket) -> (State, Ticket, CircuitEvents),
    ) -> Effects {
        let ticket = held.ticket;
        let advanced = self.change(id, &held.circuit, now, store, |machine, state| {
            step(machine, state, ticket)
        });
        match advanced {
            Ok((ticket, effects)) => {
                held.ticket = ticket;
                effects
            }
            // The probe keeps its ticket, and its permit expires on its own.
            Err(GaveUp) => Effects::default(),
        }
    }

    /// Changes the state of a key with `step`.
    pub(super) fn change<S: Store, T>(
        &self,
        id: BreakerId,
        circuit: &Circuit,
        now: Nanos,
        store: &mut S,
        step: impl Fn(&Machine, State) -> (State, T, CircuitEvents),
    ) -> Result<(T, Effects), GaveUp> {
        let compiled = self.get(id).ok_or(GaveUp)?;
        let machine = &compiled.breaker.machine;
        let address = SlotAddress {
            block: circuit.key.block(compiled.blocks),
            tag: circuit.key.tag(),
        };
        store.update(id.index(), address.block, |bytes| {
            let mut block = Block::<State>::new(bytes);
            let malformed = block.was_malformed();
            let eviction_cost = |state| machine.eviction_cost(state, now);
            let update = block.update(address.tag, WhenFull::Forgive, eviction_cost, |old| {
                let (new, outcome, events) = step(machine, old);
                ((new != old).then_some(new), (outcome, events, new))
            });
            let (outcome, events, new) = update.outcome;
            let mut changes = Vec::new();
            let victim = update.replaced.zip(update.evicted);
            if let Some((tag, victim)) = victim.filter(|(_, it)| it.phase != Phase::Closed) {
                changes.push(Change {
                    before: victim.phase,
                    after: KeyState::Evicted(SlotAddress { tag, ..address }),
                });
            }
            // Not if a closed key replaces a closed key: in a flood of keys that is every request.
            if update.occupied || events.transition.is_some() {
                let from = events.transition.map(|transition| transition.from);
                changes.push(Change {
                    before: from.unwrap_or(new.phase),
                    after: KeyState::Present(Entry {
                        address,
                        phase: new.phase,
                        generation: new.generation,
                        open_until: new.open_until,
                        label: circuit.label.clone(),
                    }),
                });
            }
            let effects = Effects {
                circuit: events,
                table: TableEvents {
                    occupied: update.occupied,
                    evicted: update.evicted.is_some(),
                    malformed,
                },
                changes,
            };
            Edit {
                changed: update.changed || malformed,
                outcome: (outcome, effects),
            }
        })
    }
}
