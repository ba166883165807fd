//! One block. The [crate](super) documents the layout.

use std::marker::PhantomData;

use super::SLOTS;

const VERSION: u8 = 1;
const TAG: usize = size_of::<u64>();

/// The state that a table keeps for each key. The default is the state of a new key.
pub trait State: Copy + Default {
    /// The encoded state: an array of bytes.
    type Bytes: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>;

    /// Whether blocks remember the states that were evicted from them, which [`WhenFull::Strict`] needs. States
    /// that cannot be compared by strictness have no floor.
    const HAS_FLOOR: bool = true;

    /// Encodes the state.
    fn to_bytes(self) -> Self::Bytes;

    /// Decodes the state. Every array of bytes must decode to some state.
    fn from_bytes(bytes: Self::Bytes) -> Self;

    /// The mildest state that is at least as strict as both, now and after any further events. It is called only for
    /// states [with a floor](Self::HAS_FLOOR).
    fn join(self, _other: Self) -> Self {
        self
    }
}

/// The state with which a new key starts in a full block, where it evicts another key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// A clean state: the new key is not charged for the evicted one.
    #[default]
    Forgive,
    /// At least the state of the evicted key, so that eviction never helps a client.
    Strict,
}

/// The result of an update of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<S, T> {
    /// The result that the closure returned.
    pub outcome: T,
    /// Whether the block changed.
    pub changed: bool,
    /// Whether the key took an unused slot.
    pub occupied: bool,
    /// The tag of the key whose slot this key took.
    pub replaced: Option<u64>,
    /// The evicted state, if it had not expired.
    pub evicted: Option<S>,
}

/// A block, edited in place.
#[derive(Debug)]
pub struct Block<'a, S> {
    bytes: &'a mut Vec<u8>,
    was_malformed: bool,
    state: PhantomData<S>,
}

/// The place of a key in its block.
enum Place<S> {
    /// The slot that the key already has.
    Held(usize, S),
    /// An unused slot.
    Free,
    /// The slot of another key, with its tag and state.
    Victim(usize, u64, S),
}

impl<'a, S: State> Block<'a, S> {
    const STATE: usize = size_of::<S::Bytes>();
    const FLOOR: usize = if S::HAS_FLOOR { Self::STATE } else { 0 };
    const HEADER: usize = 1 + Self::FLOOR;
    const SLOT: usize = TAG + Self::STATE;

    /// The size of a block all of whose slots are in use, in bytes.
    pub const MAX_SIZE: usize = Self::HEADER + SLOTS * Self::SLOT;

    /// Reads the bytes as a block. If they are not a valid block, they become an empty one.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        let was_malformed = !bytes.is_empty() && !Self::is_well_formed(bytes);
        if was_malformed || bytes.is_empty() {
            bytes.clear();
            bytes.push(VERSION);
            if S::HAS_FLOOR {
                bytes.extend_from_slice(S::default().to_bytes().as_ref());
            }
        }
        Self {
            bytes,
            was_malformed,
            state: PhantomData,
        }
    }

    fn is_well_formed(bytes: &[u8]) -> bool {
        let slots = bytes.len().checked_sub(Self::HEADER);
        bytes.first() == Some(&VERSION)
            && slots.is_some_and(|length| {
                length.is_multiple_of(Self::SLOT) && length / Self::SLOT <= SLOTS
            })
    }

    /// Whether the bytes were not a block of this version. Their content is lost.
    pub fn was_malformed(&self) -> bool {
        self.was_malformed
    }

    /// The number of slots in use, including expired ones.
    pub fn len(&self) -> usize {
        self.slots().count()
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of a key, if the block contains it.
    pub fn get(&self, tag: u64) -> Option<S> {
        self.find(tag).map(|(_, state)| state)
    }

    /// Updates the state of a key, which may be new to the block.
    ///
    /// `decide` gets the state of the key and returns the new one, or `None` to change nothing. A new key has the
    /// default state, or the one that `when_full` defines if it would evict another key. `eviction_cost` is 0 for an
    /// expired state.
    pub fn update<T>(
        &mut self,
        tag: u64,
        when_full: WhenFull,
        eviction_cost: impl Fn(S) -> u128,
        decide: impl FnOnce(S) -> (Option<S>, T),
    ) -> Update<S, T> {
        let place = self.place(tag, &eviction_cost);
        let (new, outcome) = decide(match place {
            Place::Held(_, state) => state,
            Place::Victim(_, _, victim) if when_full == WhenFull::Strict => {
                self.floor().join(victim)
            }
            Place::Free | Place::Victim(..) => S::default(),
        });
        let Some(new) = new else {
            return Update {
                outcome,
                changed: false,
                occupied: false,
                replaced: None,
                evicted: None,
            };
        };
        let (mut replaced, mut evicted) = (None, None);
        match place {
            Place::Held(slot, _) => self.write(slot, tag, new),
            Place::Free => {
                self.bytes.extend_from_slice(&tag.to_le_bytes());
                self.bytes.extend_from_slice(new.to_bytes().as_ref());
            }
            Place::Victim(slot, victim_tag, victim) => {
                if S::HAS_FLOOR {
                    self.set_floor(self.floor().join(victim));
                }
                self.write(slot, tag, new);
                replaced = Some(victim_tag);
                evicted = Some(victim).filter(|victim| eviction_cost(*victim) > 0);
            }
        }
        Update {
            outcome,
            changed: true,
            occupied: matches!(place, Place::Free),
            replaced,
            evicted,
        }
    }

    /// Changes the state of a key. Returns false if the block does not contain it.
    pub fn amend(&mut self, tag: u64, change: impl FnOnce(S) -> S) -> bool {
        let found = self.find(tag);
        if let Some((slot, state)) = found {
            self.write(slot, tag, change(state));
        }
        found.is_some()
    }

    fn place(&self, tag: u64, eviction_cost: impl Fn(S) -> u128) -> Place<S> {
        if let Some((slot, state)) = self.find(tag) {
            return Place::Held(slot, state);
        }
        if self.bytes.len() < Self::MAX_SIZE {
            return Place::Free;
        }
        let slots = self.slots().enumerate();
        let victim = slots.min_by_key(|(_, (_, state))| eviction_cost(*state));
        victim.map_or(Place::Free, |(slot, (tag, state))| {
            Place::Victim(slot, tag, state)
        })
    }

    /// Decodes only the state that it finds, because states can be large.
    fn find(&self, tag: u64) -> Option<(usize, S)> {
        let tag = tag.to_le_bytes();
        let mut slots = self.encoded().enumerate();
        let (slot, encoded) = slots.find(|(_, slot)| slot.starts_with(&tag))?;
        Some((slot, decode(encoded)?.1))
    }

    fn slots(&self) -> impl Iterator<Item = (u64, S)> {
        self.encoded().filter_map(decode)
    }

    fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self.bytes.get(Self::HEADER..).unwrap_or_default();
        slots.chunks_exact(Self::SLOT)
    }

    fn write(&mut self, slot: usize, tag: u64, state: S) {
        let at = Self::HEADER + slot * Self::SLOT;
        self.overwrite(at, &tag.to_le_bytes());
        self.overwrite(at + TAG, state.to_bytes().as_ref());
    }

    fn floor(&self) -> S {
        let floor = self.bytes.get(1..Self::HEADER);
        let floor = floor.and_then(|floor| S::Bytes::try_from(floor).ok());
        floor.map_or_else(S::default, S::from_bytes)
    }

    fn set_floor(&mut self, floor: S) {
        self.overwrite(1, floor.to_bytes().as_ref());
    }

    fn overwrite(&mut self, at: usize, with: &[u8]) {
        let old = self.bytes.get_mut(at..at + with.len());
        if let Some(old) = old {
            old.copy_from_slice(with);
        }
    }
}

/// The tag and the state of a slot.
fn decode<S: State>(slot: &[u8]) -> Option<(u64, S)> {
    let (tag, state) = slot.split_first_chunk()?;
    let state = S::Bytes::try_from(state).ok()?;
    Some((u64::from_le_bytes(*tag), S::from_bytes(state)))
}
