//! What all workers, and other plugins, can know of a breaker's circuits.
//!
//! A table keeps states by hash, and cannot be listed. So beside it each breaker has one more value in
//! the proxy's shared data, its **board**, under the key `portcullis/circuit_breaker/<policy>/<breaker>/board`.
//! Every worker that has stored a transition then updates the board: one compare-and-swap, only when
//! something happens.
//!
//! - It lists up to [`CAPACITY`] keys, with their phases, and labels for people: all that are not closed,
//!   and the closed ones that were the first to take room in the table, as long as others do not need
//!   the place. How many keys are not closed and not listed is counted. A closed key may be listed that
//!   has long left the table; whoever shows it will find out.
//! - The gauges (worst phase, open keys) follow from it. Each update that is stored tells by how much they
//!   have moved ([`Moved`]); the differences add up to the present values, in whatever order they are
//!   added.
//! - Other plugins ask [`is_open`].
//!
//! What a board says is that of a moment ago: by as long as it takes to update it. Decisions are made
//! on the table.
//!
//! # Identity
//!
//! A board belongs to one table, by the table's identity. A configuration that has another table starts the
//! board anew ([`open`]); updates that old streams still make to their old table leave it alone.
//!
//! # Layout
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of the layout, 1 |
//! | 8 | identity of the table |
//! | 8 | shape: a hash of the parts of the key |
//! | 4 | number of blocks of the table |
//! | 1 | whether the breaker is forced open |
//! | 4, 4 | open and half-open keys that are not listed |
//! | for each key: 4, 8 | block and tag in the table |
//! | 1, 8, 8 | phase, its generation, until when it is open (steady clock) |
//! | 1, *n* | length of the label, label (UTF-8) |
//!
//! Numbers are little-endian. Whatever else is found counts as an empty board.

use super::machine::Phase;
use portcullis_table::{Edit, KeyHash};

/// How many keys a board lists.
pub const CAPACITY: usize = 64;

/// The longest label, in bytes.
const MAX_LABEL: usize = 64;

const VERSION: u8 = 1;

/// The table that a board belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its identity.
    pub identity: u64,
    /// A hash of the parts of its keys.
    pub shape: u64,
    /// How many blocks it has.
    pub blocks: u32,
    /// Whether the breaker refuses everything, whatever is in the table.
    pub is_forced_open: bool,
}

/// Where a key is in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u32,
    pub(super) tag: u64,
}

/// A key on the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) phase: Phase,
    /// Of the phase: later updates have greater ones.
    pub(super) generation: u64,
    /// Until when it is open.
    pub(super) until: u64,
    pub(super) label: String,
}

/// Something that has happened to a key in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The phase that it had.
    pub(super) was: Phase,
    pub(super) now: Now,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// It is there, in this phase.
    Is(Entry),
    /// It had to make room.
    Gone(Place),
}

/// By how much gauges have moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The worst phase of all keys: 0 closed, 1 half-open, 2 open.
    pub state: i64,
    /// How many keys are open.
    pub open_keys: i64,
}

/// A board, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Board {
    pub(super) about: About,
    unlisted_open: u32,
    unlisted_half_open: u32,
    pub(super) entries: Vec<Entry>,
}

/// Makes a value the board of this table, if it is not yet. Call it when configuring.
pub fn open(bytes: &mut Vec<u8>, about: About) -> Edit<Moved> {
    edit(bytes, |board| {
        if board.about != about {
            *board = Board {
                about,
                ..Board::default()
            };
        }
    })
}

/// Notes a change in the table of this identity.
pub fn update(bytes: &mut Vec<u8>, identity: u64, change: &Change) -> Edit<Moved> {
    edit(bytes, |board| {
        if board.about.identity == identity {
            board.note(change);
        }
    })
}

/// Whether the circuit of a key is open at `now`: for other plugins.
///
/// The key is made of the parts that have this `shape`. If the breaker's keys are made of others, or
/// there were too many to be listed, the answer is whether any circuit is open.
pub fn is_open(bytes: &[u8], shape: u64, key: KeyHash, now: u64) -> bool {
    let board = Board::decode(bytes);
    if board.about.is_forced_open {
        return true;
    }
    let is_open = |entry: &Entry| entry.phase == Phase::Open && now < entry.until;
    if shape == board.about.shape {
        let place = Place {
            block: key.block(board.about.blocks),
            tag: key.tag(),
        };
        if let Some(entry) = board.entries.iter().find(|entry| entry.place == place) {
            return is_open(entry);
        }
        return board.unlisted_open > 0;
    }
    board.unlisted_open > 0 || board.entries.iter().any(is_open)
}

/// Whether there is a breaker behind the board: not if none of this name was configured yet, or the present
/// configuration has none.
pub fn is_known(bytes: &[u8]) -> bool {
    Board::decode(bytes).about != About::default()
}

fn edit(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Board)) -> Edit<Moved> {
    let mut board = Board::decode(bytes);
    let before = board.gauges();
    change(&mut board);
    let after = board.gauges();
    let encoded = board.encode();
    let changed = *bytes != encoded;
    *bytes = encoded;
    Edit {
        changed,
        outcome: Moved {
            state: after.state - before.state,
            open_keys: after.open_keys - before.open_keys,
        },
    }
}

impl Board {
    fn note(&mut self, change: &Change) {
        let place = match &change.now {
            Now::Is(entry) => entry.place,
            Now::Gone(place) => *place,
        };
        let listed = self.entries.iter_mut().find(|entry| entry.place == place);
        match (listed, &change.now) {
            // Another worker may have told of something later already.
            (Some(entry), Now::Is(new)) if new.generation >= entry.generation => {
                entry.clone_from(new);
            }
            (Some(_), Now::Is(_)) => {}
            (Some(_), Now::Gone(_)) => self.entries.retain(|entry| entry.place != place),
            (None, now) => {
                if let Some(unlisted) = self.unlisted(change.was) {
                    *unlisted = unlisted.saturating_sub(1);
                }
                if let Now::Is(new) = now {
                    self.add(new);
                }
            }
        }
    }

    fn add(&mut self, new: &Entry) {
        if self.entries.len() < CAPACITY {
            self.entries.push(new.clone());
            return;
        }
        let is_closed = |entry: &&mut Entry| entry.phase == Phase::Closed;
        match self.entries.iter_mut().find(is_closed) {
            _ if new.phase == Phase::Closed => {}
            Some(closed) => closed.clone_from(new),
            None => {
                if let Some(unlisted) = self.unlisted(new.phase) {
                    *unlisted = unlisted.saturating_add(1);
                }
            }
        }
    }

    fn unlisted(&mut self, phase: Phase) -> Option<&mut u32> {
        match phase {
            Phase::Closed => None,
            Phase::HalfOpen => Some(&mut self.unlisted_half_open),
            Phase::Open => Some(&mut self.unlisted_open),
        }
    }

    /// How many keys are in a phase that is not closed.
    pub(super) fn count(&self, phase: Phase) -> u32 {
        let unlisted = match phase {
            Phase::Closed => 0,
            Phase::HalfOpen => self.unlisted_half_open,
            Phase::Open => self.unlisted_open,
        };
        let listed = self.entries.iter().filter(|entry| entry.phase == phase);
        unlisted.saturating_add(u32::try_from(listed.count()).unwrap_or(u32::MAX))
    }

    /// How many keys that are not closed are not listed.
    pub(super) fn beyond(&self) -> u32 {
        self.unlisted_open.saturating_add(self.unlisted_half_open)
    }

    /// The worst phase of all keys.
    pub(super) fn worst(&self) -> Phase {
        match (self.count(Phase::Open), self.count(Phase::HalfOpen)) {
            _ if self.about.is_forced_open => Phase::Open,
            (0, 0) => Phase::Closed,
            (0, _) => Phase::HalfOpen,
            _ => Phase::Open,
        }
    }

    /// The gauges, as if they had moved from 0.
    fn gauges(&self) -> Moved {
        Moved {
            state: self.worst().to_byte().into(),
            open_keys: self.count(Phase::Open).into(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let about = &self.about;
        let mut bytes = vec![VERSION];
        bytes.extend(about.identity.to_le_bytes());
        bytes.extend(about.shape.to_le_bytes());
        bytes.extend(about.blocks.to_le_bytes());
        bytes.push(about.is_forced_open.into());
        bytes.extend(self.unlisted_open.to_le_bytes());
        bytes.extend(self.unlisted_half_open.to_le_bytes());
        for entry in &self.entries {
            let label = shortened(&entry.label);
            bytes.extend(entry.place.block.to_le_bytes());
            bytes.extend(entry.place.tag.to_le_bytes());
            bytes.push(entry.phase.to_byte());
            bytes.extend(entry.generation.to_le_bytes());
            bytes.extend(entry.until.to_le_bytes());
            // At most `MAX_LABEL`.
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        Decoder(bytes).board().unwrap_or_default()
    }
}

/// As many characters as fit into a label.
fn shortened(label: &str) -> &str {
    label
        .get(..label.floor_char_boundary(MAX_LABEL))
        .unwrap_or_default()
}

struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn board(&mut self) -> Option<Board> {
        if self.take()? != [VERSION] {
            return None;
        }
        let about = About {
            identity: u64::from_le_bytes(self.take()?),
            shape: u64::from_le_bytes(self.take()?),
            blocks: u32::from_le_bytes(self.take()?),
            is_forced_open: self.take()? != [0],
        };
        let mut board = Board {
            about,
            unlisted_open: u32::from_le_bytes(self.take()?),
            unlisted_half_open: u32::from_le_bytes(self.take()?),
            entries: Vec::new(),
        };
        while !self.0.is_empty() {
            board.entries.push(self.entry()?);
        }
        (board.entries.len() <= CAPACITY).then_some(board)
    }

    fn entry(&mut self) -> Option<Entry> {
        let place = Place {
            block: u32::from_le_bytes(self.take()?),
            tag: u64::from_le_bytes(self.take()?),
        };
        let [phase] = self.take()?;
        let generation = u64::from_le_bytes(self.take()?);
        let until = u64::from_le_bytes(self.take()?);
        let [length] = self.take()?;
        let (label, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(Entry {
            place,
            phase: Phase::from_byte(phase),
            generation,
            until,
            label: std::str::from_utf8(label).ok()?.to_owned(),
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}
