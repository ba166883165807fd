//! What a worker remembers of the blocks that it wrote last.

use crate::versions::{is_recent, units};

/// How many blocks of a table are remembered at most: those of a table for the default number of keys.
const PLACES: usize = 8_192;

/// How much good luck is remembered. A guess that comes true saves about what one costs that does not.
const MOST_LUCK: u8 = 16;
/// So many updates are made without guesses after luck has run out.
const REST: u32 = 256;
/// The luck after that.
const NEW_LUCK: u8 = 4;

/// The blocks of one table, each with the version that it should have.
///
/// Where other workers write the same blocks all the time, guesses are wrong, and memory is wasted.
/// So luck is counted, and when it has run out, nothing is remembered for a while.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// A block is at the place of its number, modulo their number.
    places: Vec<Option<Place>>,
    luck: u8,
    rest: u32,
}

#[derive(Debug)]
struct Place {
    block: u32,
    bytes: Vec<u8>,
    version: u32,
    at: u32,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            luck: MOST_LUCK,
            rest: 0,
        }
    }
}

impl Remembered {
    /// Whether to guess in the next update. Call it once for each.
    pub(crate) fn is_worth_while(&mut self) -> bool {
        if self.luck > 0 {
            return true;
        }
        self.rest = self.rest.saturating_sub(1);
        if self.rest == 0 {
            self.luck = NEW_LUCK;
        }
        false
    }

    /// A block, and the version to guess. It is forgotten here.
    pub(crate) fn take(&mut self, block: u32, now: u64) -> Option<(Vec<u8>, u32)> {
        let place = self.place(block)?.take_if(|place| place.block == block)?;
        is_recent(place.at, now).then_some((place.bytes, place.version))
    }

    /// Remembers a block.
    pub(crate) fn put(&mut self, block: u32, bytes: Vec<u8>, version: u32, now: u64) {
        if self.luck == 0 {
            return;
        }
        let index = block as usize % PLACES;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.place(block) {
            *place = Some(Place {
                block,
                bytes,
                version,
                at: units(now),
            });
        }
    }

    /// A guess was right.
    pub(crate) fn was_right(&mut self) {
        self.luck = self.luck.saturating_add(1).min(MOST_LUCK);
    }

    /// A guess was wrong.
    pub(crate) fn was_wrong(&mut self) {
        self.luck = self.luck.saturating_sub(1);
        if self.luck == 0 {
            self.rest = REST;
            self.places = Vec::new();
        }
    }

    fn place(&mut self, block: u32) -> Option<&mut Option<Place>> {
        self.places.get_mut(block as usize % PLACES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_block_is_remembered_once_and_not_for_long() {
        let mut remembered = Remembered::default();
        remembered.put(7, vec![1], 70, SECOND);
        remembered.put(8, vec![2], 80, SECOND);

        assert_eq!(remembered.take(9, SECOND), None);
        assert_eq!(remembered.take(7, 2 * SECOND), Some((vec![1], 70)));
        assert_eq!(remembered.take(7, 2 * SECOND), None);
        assert_eq!(remembered.take(8, 20 * SECOND), None);
    }

    #[test]
    fn of_two_blocks_with_one_place_the_later_is_remembered() {
        let mut remembered = Remembered::default();
        let other = 7 + PLACES as u32;
        remembered.put(7, vec![1], 70, 0);
        remembered.put(other, vec![2], 80, 0);

        assert_eq!(remembered.take(7, 0), None);
        assert_eq!(remembered.take(other, 0), Some((vec![2], 80)));
    }

    #[test]
    fn who_guesses_wrong_rests_for_a_while_and_holds_nothing() {
        let mut remembered = Remembered::default();
        remembered.put(7, vec![1], 70, 0);
        while remembered.is_worth_while() {
            remembered.was_wrong();
        }
        assert_eq!(remembered.take(7, 0), None);

        let rest = (1..1_000).find(|_| remembered.is_worth_while());
        assert_eq!(rest, Some(REST as i32));
    }

    #[test]
    fn as_many_right_guesses_as_wrong_ones_are_enough() {
        let mut remembered = Remembered::default();
        for _ in 0..1_000 {
            assert!(remembered.is_worth_while());
            remembered.was_wrong();
            remembered.was_right();
        }
    }
}
