//! One operation on the circuit of a key, in the table.

use super::board::{Change, Entry, Now, Place};
use super::evaluate::Held;
use super::machine::{Happened, Machine, Phase, Report, State, Ticket};
use super::{BreakerId, CircuitBreaker};
use portcullis_table::{Block, Edit, GaveUp, KeyHash, Store, TableEvents, WhenFull};

/// What an operation did beside what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What happened to the circuit.
    pub happened: Happened,
    /// What happened to the table.
    pub table: TableEvents,
    /// What to note on the board, in this order.
    pub changes: Vec<Change>,
}

/// Which circuit, and its name for people.
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
        now: u64,
        store: &mut S,
    ) -> Result<Effects, GaveUp> {
        let recorded = self.change(id, circuit, now, store, |machine, state| {
            let (state, happened) = machine.record(state, now, report);
            (state, (), happened)
        });
        recorded.map(|((), effects)| effects)
    }

    /// Notes how far the probe of a ticket has come; the new ticket.
    pub(super) fn advance<S: Store>(
        &self,
        id: BreakerId,
        held: &mut Held,
        now: u64,
        store: &mut S,
        step: impl Fn(&Machine, State, Ticket) -> (State, Ticket, Happened),
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
            // It goes on as before, and its permit comes back as a lease does.
            Err(GaveUp) => Effects::default(),
        }
    }

    /// Lets `step` change the state of a key, as the machine of its breaker does.
    pub(super) fn change<S: Store, T>(
        &self,
        id: BreakerId,
        circuit: &Circuit,
        now: u64,
        store: &mut S,
        step: impl Fn(&Machine, State) -> (State, T, Happened),
    ) -> Result<(T, Effects), GaveUp> {
        let compiled = self.get(id).ok_or(GaveUp)?;
        let machine = &compiled.breaker.machine;
        let place = Place {
            block: circuit.key.block(compiled.blocks),
            tag: circuit.key.tag(),
        };
        store.update(id.index(), place.block, |bytes| {
            let mut block = Block::<State>::new(bytes);
            let malformed = block.was_malformed();
            let harm = |state| machine.harm(state, now);
            let update = block.update(place.tag, WhenFull::Forgive, harm, |old| {
                let (new, outcome, happened) = step(machine, old);
                ((new != old).then_some(new), (outcome, happened, new))
            });
            let (outcome, happened, new) = update.outcome;
            let mut changes = Vec::new();
            let victim = update.replaced.zip(update.evicted);
            if let Some((tag, victim)) = victim.filter(|(_, it)| it.phase != Phase::Closed) {
                changes.push(Change {
                    was: victim.phase,
                    now: Now::Gone(Place { tag, ..place }),
                });
            }
            // Not where closed keys drive out closed ones: in a flood of keys that is every request.
            if update.occupied || happened.transition.is_some() {
                let from = happened.transition.map(|transition| transition.from);
                changes.push(Change {
                    was: from.unwrap_or(new.phase),
                    now: Now::Is(Entry {
                        place,
                        phase: new.phase,
                        generation: new.generation,
                        until: new.open_until,
                        label: circuit.label.clone(),
                    }),
                });
            }
            let effects = Effects {
                happened,
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
