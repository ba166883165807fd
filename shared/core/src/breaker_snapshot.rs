//! The snapshot of a circuit breaker: the public state of its circuits.
//!
//! circuit-breaker keeps the state of each key in a table, by hash, and such a table cannot be listed. So each
//! breaker has one more value in the proxy's shared data, its snapshot, under the key
//! `portcullis/circuit_breaker/<instance>/<breaker>/board`. circuit-breaker updates the snapshot after each
//! transition. Its status view and its gauges come from the snapshot, and other plugins read it: retry-budget asks
//! [`Snapshot::is_open`].
//!
//! The snapshot lags behind the table by the time of one update. circuit-breaker itself decides on the table.
//!
//! # Content
//!
//! - Up to [`CAPACITY`] keys, each with its phase and with a label for people: the keys that are not closed, and,
//!   while there is room, the closed keys that were the first to take a slot in the table. A closed key can be
//!   listed although the table no longer has it.
//! - How many keys are open or half-open without being listed.
//! - The [metadata](TableMetadata) of the table that the snapshot describes.
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
//! | 1, 8, 8 | phase, its generation, the end of the open phase (steady clock) |
//! | 1, *n* | length of the label, label (UTF-8) |
//!
//! Numbers are little-endian. Any other bytes are an empty snapshot.

use portcullis_table::KeyHash;

use crate::time::Nanos;

/// The plugin that writes snapshots.
pub const PLUGIN: &str = "circuit_breaker";

/// How many keys a snapshot lists.
pub const CAPACITY: usize = 64;

/// The longest label, in bytes.
const MAX_LABEL: usize = 64;

const VERSION: u8 = 1;

/// The name of a breaker's snapshot among the shared values of its instance.
///
/// It keeps the word of the first version, so that a new version of the plugin finds the snapshots of the old one.
pub fn value_name(breaker: &str) -> String {
    format!("{breaker}/board")
}

/// The phase of a circuit, in increasing order of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Requests pass.
    #[default]
    Closed,
    /// A limited number of requests pass as probes.
    HalfOpen,
    /// No request passes.
    Open,
}

impl Phase {
    /// The phase as a word, for the status view.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }

    /// The phase as a number: 0 closed, 1 half-open, 2 open.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }

    /// The phase with this number. Any other number is closed.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::HalfOpen,
            2 => Self::Open,
            _ => Self::Closed,
        }
    }
}

/// The table that a snapshot describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableMetadata {
    /// A hash of everything that gives the states in the table their meaning.
    pub identity: u64,
    /// A hash of the parts of the key.
    pub shape: u64,
    /// The number of blocks.
    pub blocks: u32,
    /// Whether the breaker rejects everything, regardless of the table.
    pub is_forced_open: bool,
}

/// The position of a key in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotAddress {
    /// The number of the block.
    pub block: u32,
    /// The tag of the slot.
    pub tag: u64,
}

/// A listed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the table.
    pub address: SlotAddress,
    /// Its phase.
    pub phase: Phase,
    /// The generation of the phase. Later phases have larger ones.
    pub generation: u64,
    /// The end of the open phase.
    pub open_until: Nanos,
    /// The key as text.
    pub label: String,
}

/// The state of the circuit that the current request belongs to. circuit-breaker knows it from its table, more exactly
/// than any snapshot, and hands it over to later plugins of the same module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitState {
    /// A hash of the parts of the key.
    pub shape: u64,
    /// The key.
    pub key: KeyHash,
    /// Whether the circuit is open.
    pub is_open: bool,
}

/// A snapshot, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The table that it describes.
    pub table: TableMetadata,
    /// How many open keys are not listed.
    pub unlisted_open: u32,
    /// How many half-open keys are not listed.
    pub unlisted_half_open: u32,
    /// The listed keys, at most [`CAPACITY`].
    pub entries: Vec<Entry>,
}

impl Snapshot {
    /// Whether it describes a breaker. It does not if no breaker of this name was ever configured, or if the current
    /// configuration has none.
    pub fn has_breaker(&self) -> bool {
        self.table != TableMetadata::default()
    }

    /// Whether the circuit of a key is open.
    ///
    /// `shape` is a hash of the parts that the key consists of. If the breaker's keys have other parts, or more keys
    /// are open than the snapshot lists, the answer is whether any circuit is open.
    pub fn is_open(&self, shape: u64, key: KeyHash, now: Nanos) -> bool {
        if self.table.is_forced_open {
            return true;
        }
        let is_open = |entry: &Entry| entry.phase == Phase::Open && now < entry.open_until;
        if shape == self.table.shape {
            let address = SlotAddress {
                block: key.block(self.table.blocks),
                tag: key.tag(),
            };
            let mut entries = self.entries.iter();
            return match entries.find(|entry| entry.address == address) {
                Some(entry) => is_open(entry),
                None => self.unlisted_open > 0,
            };
        }
        self.unlisted_open > 0 || self.entries.iter().any(is_open)
    }

    /// How many keys are in a phase other than closed; of closed keys, how many are listed.
    pub fn count(&self, phase: Phase) -> u32 {
        let unlisted = match phase {
            Phase::Closed => 0,
            Phase::HalfOpen => self.unlisted_half_open,
            Phase::Open => self.unlisted_open,
        };
        let listed = self.entries.iter().filter(|entry| entry.phase == phase);
        unlisted.saturating_add(u32::try_from(listed.count()).unwrap_or(u32::MAX))
    }

    /// How many keys are open or half-open without being listed.
    pub fn unlisted(&self) -> u32 {
        self.unlisted_open.saturating_add(self.unlisted_half_open)
    }

    /// The worst phase of all keys.
    pub fn worst_phase(&self) -> Phase {
        match (self.count(Phase::Open), self.count(Phase::HalfOpen)) {
            _ if self.table.is_forced_open => Phase::Open,
            (0, 0) => Phase::Closed,
            (0, _) => Phase::HalfOpen,
            _ => Phase::Open,
        }
    }

    /// The bytes of the snapshot. Long labels are cut.
    pub fn encode(&self) -> Vec<u8> {
        let table = &self.table;
        let mut bytes = vec![VERSION];
        bytes.extend(table.identity.to_le_bytes());
        bytes.extend(table.shape.to_le_bytes());
        bytes.extend(table.blocks.to_le_bytes());
        bytes.push(table.is_forced_open.into());
        bytes.extend(self.unlisted_open.to_le_bytes());
        bytes.extend(self.unlisted_half_open.to_le_bytes());
        for entry in &self.entries {
            let label = shortened(&entry.label);
            bytes.extend(entry.address.block.to_le_bytes());
            bytes.extend(entry.address.tag.to_le_bytes());
            bytes.push(entry.phase.to_byte());
            bytes.extend(entry.generation.to_le_bytes());
            bytes.extend(entry.open_until.get().to_le_bytes());
            // At most `MAX_LABEL`.
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes
    }

    /// The snapshot in these bytes.
    pub fn decode(bytes: &[u8]) -> Self {
        Decoder(bytes).snapshot().unwrap_or_default()
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
    fn snapshot(&mut self) -> Option<Snapshot> {
        if self.take()? != [VERSION] {
            return None;
        }
        let table = TableMetadata {
            identity: u64::from_le_bytes(self.take()?),
            shape: u64::from_le_bytes(self.take()?),
            blocks: u32::from_le_bytes(self.take()?),
            is_forced_open: self.take()? != [0],
        };
        let mut snapshot = Snapshot {
            table,
            unlisted_open: u32::from_le_bytes(self.take()?),
            unlisted_half_open: u32::from_le_bytes(self.take()?),
            entries: Vec::new(),
        };
        while !self.0.is_empty() {
            snapshot.entries.push(self.entry()?);
        }
        (snapshot.entries.len() <= CAPACITY).then_some(snapshot)
    }

    fn entry(&mut self) -> Option<Entry> {
        let address = SlotAddress {
            block: u32::from_le_bytes(self.take()?),
            tag: u64::from_le_bytes(self.take()?),
        };
        let [phase] = self.take()?;
        let generation = u64::from_le_bytes(self.take()?);
        let open_until = Nanos::new(u64::from_le_bytes(self.take()?));
        let [length] = self.take()?;
        let (label, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(Entry {
            address,
            phase: Phase::from_byte(phase),
            generation,
            open_until,
            label: std::str::from_utf8(label).ok()?.to_owned(),
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            table: TableMetadata {
                identity: 1,
                shape: 2,
                blocks: 3,
                is_forced_open: false,
            },
            unlisted_open: 4,
            unlisted_half_open: 5,
            entries: vec![Entry {
                address: SlotAddress { block: 6, tag: 7 },
                phase: Phase::Open,
                generation: 8,
                open_until: Nanos::new(9),
                label: "orders".to_owned(),
            }],
        }
    }

    /// Plugins of different versions share snapshots, so the bytes of this version must not change.
    #[test]
    fn the_layout_is_stable() {
        let mut bytes = vec![1];
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([3, 0, 0, 0]);
        bytes.push(0);
        bytes.extend([4, 0, 0, 0, 5, 0, 0, 0]);
        bytes.extend([6, 0, 0, 0]);
        bytes.extend([7, 0, 0, 0, 0, 0, 0, 0]);
        bytes.push(2);
        bytes.extend([8, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([9, 0, 0, 0, 0, 0, 0, 0]);
        bytes.push(6);
        bytes.extend(b"orders");
        assert_eq!(snapshot().encode(), bytes);
        assert_eq!(Snapshot::decode(&bytes), snapshot());
        bytes.pop();
        assert_eq!(Snapshot::decode(&bytes), Snapshot::default());
        assert_eq!(value_name("payments"), "payments/board");
    }

    #[test]
    fn only_a_snapshot_with_a_table_has_a_breaker() {
        assert!(snapshot().has_breaker());
        assert!(!Snapshot::decode(b"").has_breaker());
        assert!(!Snapshot::decode(&Snapshot::default().encode()).has_breaker());
    }
}
