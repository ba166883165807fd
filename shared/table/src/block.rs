//! The bytes of one block. The [module](super) describes them.

use std::marker::PhantomData;

use super::SLOTS;

const VERSION: u8 = 1;
const TAG: usize = size_of::<u64>();

/// What a table keeps for each key. The default is the state of a key that was never seen.
pub trait State: Copy + Default {
    /// The state as bytes: an array.
    type Bytes: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>;

    /// Whether blocks remember what was evicted from them, which [`WhenFull::Strict`] needs. States
    /// that cannot be compared by strictness have no floor.
    const HAS_FLOOR: bool = true;

    /// Encodes the state.
    fn to_bytes(self) -> Self::Bytes;

    /// Decodes the state. All bytes mean something: what they mean is up to the state.
    fn from_bytes(bytes: Self::Bytes) -> Self;

    /// The mildest state that is at least as strict as both, now and whatever happens to it and to
    /// them. Only states [with a floor](Self::HAS_FLOOR) are asked.
    fn join(self, _other: Self) -> Self {
        self
    }
}

/// What a key gets that takes the place of another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// A clean start.
    #[default]
    Forgive,
    /// The state of the key that made room.
    Strict,
}

/// What an update of one key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<S, T> {
    /// What the closure returned.
    pub outcome: T,
    /// Whether the block is different now.
    pub changed: bool,
    /// Whether the key took a slot that was never used before.
    pub occupied: bool,
    /// The tag of the key whose slot the key took.
    pub replaced: Option<u64>,
    /// The state that was lost, if it was not expired.
    pub evicted: Option<S>,
}

/// A block, edited in place.
#[derive(Debug)]
pub struct Block<'a, S> {
    bytes: &'a mut Vec<u8>,
    was_malformed: bool,
    state: PhantomData<S>,
}

/// Where a key goes.
enum Place<S> {
    /// It is there already.
    Held(usize, S),
    /// A slot that was never used.
    Free,
    /// The slot of another key, with its tag.
    Victim(usize, u64, S),
}

impl<'a, S: State> Block<'a, S> {
    const STATE: usize = size_of::<S::Bytes>();
    const FLOOR: usize = if S::HAS_FLOOR { Self::STATE } else { 0 };
    const HEADER: usize = 1 + Self::FLOOR;
    const SLOT: usize = TAG + Self::STATE;

    /// The size of a block all of whose slots are in use, in bytes.
    pub const MAX_SIZE: usize = Self::HEADER + SLOTS * Self::SLOT;

    /// Reads the bytes as a block. If they are none, they become an empty one.
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

    /// Whether there were bytes that are no block of this version. What they held is lost.
    pub fn was_malformed(&self) -> bool {
        self.was_malformed
    }

    /// How many slots are in use, expired ones included.
    pub fn len(&self) -> usize {
        self.slots().count()
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of a key, if the block has it.
    pub fn get(&self, tag: u64) -> Option<S> {
        self.find(tag).map(|(_, state)| state)
    }

    /// Updates the state of a key that the block has or will have.
    ///
    /// `decide` gets the key's state and returns the new one, or `None` to leave everything as it
    /// is. The state of a key that is not there is the default or, if it would have to take the slot
    /// of another key, what `when_full` says.
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

    /// Changes the state of a key that the block has; false if it has not.
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

    /// Only the state that is found is decoded: there are large ones.
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
