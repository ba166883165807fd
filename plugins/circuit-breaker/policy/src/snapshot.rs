//! Updates of a breaker's [snapshot](portcullis_core::breaker_snapshot).
//!
//! Each worker that has stored a transition in the table then updates the snapshot: one compare-and-swap, and only
//! when something happened.
//!
//! The gauges (worst phase, open keys) follow from the snapshot. Each stored update returns by how much they change
//! ([`GaugeDelta`]). The deltas add up to the current values, in any order.
//!
//! # Identity
//!
//! A snapshot describes one table, by the table's identity. A configuration with another table starts a new
//! snapshot ([`begin`]); updates that old streams still make to their old table do not change it.

use portcullis_core::breaker_snapshot::{
    CAPACITY, Entry, Phase, SlotAddress, Snapshot, TableMetadata,
};
use portcullis_table::Edit;

/// Something that happened to a key in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The phase of the key before.
    pub(super) before: Phase,
    pub(super) after: KeyState,
}

/// A key after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyState {
    /// It is in the table.
    Present(Entry),
    /// It had to make room for another key.
    Evicted(SlotAddress),
}

/// By how much gauges change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaugeDelta {
    /// The worst phase of all keys: 0 closed, 1 half-open, 2 open.
    pub state: i64,
    /// The number of open keys.
    pub open_keys: i64,
}

/// Makes a value the snapshot of this table, unless it is already. Call it when configuring.
pub fn begin(bytes: &mut Vec<u8>, table: TableMetadata) -> Edit<GaugeDelta> {
    edit(bytes, |snapshot| {
        if snapshot.table != table {
            *snapshot = Snapshot {
                table,
                ..Snapshot::default()
            };
        }
    })
}

/// Empties the snapshot of a breaker that is no longer configured.
pub fn clear(bytes: &mut Vec<u8>) -> Edit<GaugeDelta> {
    begin(bytes, TableMetadata::default())
}

/// Records a change in the table with this identity.
pub fn update(bytes: &mut Vec<u8>, identity: u64, change: &Change) -> Edit<GaugeDelta> {
    edit(bytes, |snapshot| {
        if snapshot.table.identity == identity {
            record(snapshot, change);
        }
    })
}

fn edit(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Snapshot)) -> Edit<GaugeDelta> {
    let mut snapshot = Snapshot::decode(bytes);
    let before = gauges(&snapshot);
    change(&mut snapshot);
    let after = gauges(&snapshot);
    let encoded = snapshot.encode();
    let changed = *bytes != encoded;
    *bytes = encoded;
    Edit {
        changed,
        outcome: GaugeDelta {
            state: after.state - before.state,
            open_keys: after.open_keys - before.open_keys,
        },
    }
}

/// The gauges, as a change from 0.
fn gauges(snapshot: &Snapshot) -> GaugeDelta {
    GaugeDelta {
        state: snapshot.worst_phase().to_byte().into(),
        open_keys: snapshot.count(Phase::Open).into(),
    }
}

fn record(snapshot: &mut Snapshot, change: &Change) {
    let address = match &change.after {
        KeyState::Present(entry) => entry.address,
        KeyState::Evicted(address) => *address,
    };
    let mut entries = snapshot.entries.iter_mut();
    let listed = entries.find(|entry| entry.address == address);
    match (listed, &change.after) {
        // Another worker may have recorded a later phase already.
        (Some(entry), KeyState::Present(new)) if new.generation >= entry.generation => {
            entry.clone_from(new);
        }
        (Some(_), KeyState::Present(_)) => {}
        (Some(_), KeyState::Evicted(_)) => {
            snapshot.entries.retain(|entry| entry.address != address);
        }
        (None, after) => {
            if let Some(unlisted) = unlisted(snapshot, change.before) {
                *unlisted = unlisted.saturating_sub(1);
            }
            if let KeyState::Present(new) = after {
                add(snapshot, new);
            }
        }
    }
}

fn add(snapshot: &mut Snapshot, new: &Entry) {
    if snapshot.entries.len() < CAPACITY {
        snapshot.entries.push(new.clone());
        return;
    }
    let is_closed = |entry: &&mut Entry| entry.phase == Phase::Closed;
    match snapshot.entries.iter_mut().find(is_closed) {
        _ if new.phase == Phase::Closed => {}
        Some(closed) => closed.clone_from(new),
        None => {
            if let Some(unlisted) = unlisted(snapshot, new.phase) {
                *unlisted = unlisted.saturating_add(1);
            }
        }
    }
}

fn unlisted(snapshot: &mut Snapshot, phase: Phase) -> Option<&mut u32> {
    match phase {
        Phase::Closed => None,
        Phase::HalfOpen => Some(&mut snapshot.unlisted_half_open),
        Phase::Open => Some(&mut snapshot.unlisted_open),
    }
}
