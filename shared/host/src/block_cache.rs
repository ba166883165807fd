//! What a worker remembers of the blocks that it wrote last.

use portcullis_core::time::Nanos;

use crate::cas_predictor::{is_recent, units};

/// How many blocks are remembered at most, of all tables of a plugin instance: those of one table for
/// the default number of keys of rate-limit. So the memory of a worker does not grow with the number of
/// tables.
const PLACES: usize = 8_192;

/// How much good luck is remembered. A guess that comes true saves about what one costs that does not.
const MOST_LUCK: u8 = 16;
/// So many updates are made without guesses after luck has run out.
const REST: u32 = 256;
/// The luck after that.
const NEW_LUCK: u8 = 4;

/// A block of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) table: usize,
    pub(crate) block: u32,
}

/// The blocks of some tables, each with the version that it should have.
///
/// Where other workers write the same blocks all the time, guesses are wrong, and memory is wasted.
/// So luck is counted for each table, and when it has run out, nothing of that table is remembered for
/// a while.
#[derive(Debug)]
pub(crate) struct BlockCache {
    /// A block is at the place of its number and that of its table, added, modulo the number of places:
    /// numbers of blocks are hashes, and tables of one block have places side by side.
    places: Vec<Option<Place>>,
    /// By table.
    luck: Vec<Luck>,
}

#[derive(Debug)]
struct Place {
    at: At,
    bytes: Vec<u8>,
    version: u32,
    since: u32,
}

#[derive(Clone, Debug)]
struct Luck {
    left: u8,
    rest: u32,
}

impl BlockCache {
    /// An empty cache for this number of tables.
    pub(crate) fn new(tables: usize) -> Self {
        let luck = Luck {
            left: MOST_LUCK,
            rest: 0,
        };
        Self {
            places: Vec::new(),
            luck: vec![luck; tables],
        }
    }

    /// Whether to guess in the next update of a table. Call it once for each.
    pub(crate) fn is_worth_while(&mut self, table: usize) -> bool {
        let Some(luck) = self.luck.get_mut(table) else {
            return false;
        };
        if luck.left > 0 {
            return true;
        }
        luck.rest = luck.rest.saturating_sub(1);
        if luck.rest == 0 {
            luck.left = NEW_LUCK;
        }
        false
    }

    /// A block, and the version to guess. It is forgotten here.
    pub(crate) fn take(&mut self, at: At, now: Nanos) -> Option<(Vec<u8>, u32)> {
        let place = self.places.get_mut(index(at))?;
        let place = place.take_if(|place| place.at == at)?;
        is_recent(place.since, now).then_some((place.bytes, place.version))
    }

    /// Remembers a block.
    pub(crate) fn put(&mut self, at: At, bytes: Vec<u8>, version: u32, now: Nanos) {
        if self.luck.get(at.table).is_none_or(|luck| luck.left == 0) {
            return;
        }
        let index = index(at);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Place {
                at,
                bytes,
                version,
                since: units(now),
            });
        }
    }

    /// A guess was right.
    pub(crate) fn was_right(&mut self, table: usize) {
        if let Some(luck) = self.luck.get_mut(table) {
            luck.left = luck.left.saturating_add(1).min(MOST_LUCK);
        }
    }

    /// A guess was wrong.
    pub(crate) fn was_wrong(&mut self, table: usize) {
        let Some(luck) = self.luck.get_mut(table) else {
            return;
        };
        luck.left = luck.left.saturating_sub(1);
        if luck.left == 0 {
            luck.rest = REST;
            let of_table = |place: &mut Place| place.at.table == table;
            self.places.iter_mut().for_each(|place| {
                place.take_if(of_table);
            });
        }
    }
}

fn index(at: At) -> usize {
    at.table.wrapping_add(at.block as usize) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::SECOND;

    fn at(block: u32) -> At {
        At { table: 0, block }
    }

    #[test]
    fn a_block_is_remembered_once_and_not_for_long() {
        let mut cache = BlockCache::new(2);
        cache.put(at(7), vec![1], 70, SECOND);
        cache.put(at(8), vec![2], 80, SECOND);

        assert_eq!(cache.take(at(9), SECOND), None);
        assert_eq!(cache.take(at(7), SECOND * 2), Some((vec![1], 70)));
        assert_eq!(cache.take(at(7), SECOND * 2), None);
        assert_eq!(cache.take(at(8), SECOND * 20), None);
    }

    #[test]
    fn of_two_blocks_with_one_place_the_later_is_remembered() {
        let mut cache = BlockCache::new(2);
        let other = 7 + PLACES as u32;
        cache.put(at(7), vec![1], 70, Nanos::ZERO);
        cache.put(at(other), vec![2], 80, Nanos::ZERO);

        assert_eq!(cache.take(at(7), Nanos::ZERO), None);
        assert_eq!(cache.take(at(other), Nanos::ZERO), Some((vec![2], 80)));
    }

    #[test]
    fn who_guesses_wrong_rests_for_a_while_and_holds_nothing() {
        let mut cache = BlockCache::new(2);
        cache.put(at(7), vec![1], 70, Nanos::ZERO);
        while cache.is_worth_while(0) {
            cache.was_wrong(0);
        }
        assert_eq!(cache.take(at(7), Nanos::ZERO), None);

        let rest = (1..1_000).find(|_| cache.is_worth_while(0));
        assert_eq!(rest, Some(REST as i32));
    }

    #[test]
    fn as_many_right_guesses_as_wrong_ones_are_enough() {
        let mut cache = BlockCache::new(2);
        for _ in 0..1_000 {
            assert!(cache.is_worth_while(0));
            cache.was_wrong(0);
            cache.was_right(0);
        }
    }

    #[test]
    fn tables_share_the_places_and_not_the_luck() {
        let mut cache = BlockCache::new(2);
        let other = At { table: 1, block: 9 };
        cache.put(at(7), vec![1], 70, Nanos::ZERO);
        cache.put(other, vec![2], 90, Nanos::ZERO);
        while cache.is_worth_while(0) {
            cache.was_wrong(0);
        }

        assert_eq!(cache.take(at(7), Nanos::ZERO), None);
        assert!(cache.is_worth_while(1));
        assert_eq!(
            cache.take(
                At {
                    table: 0,
                    block: 10
                },
                Nanos::ZERO
            ),
            None
        );
        assert_eq!(cache.take(other, Nanos::ZERO), Some((vec![2], 90)));

        (0..100_u32).for_each(|table| {
            let at = At {
                table: 1,
                block: table * 101,
            };
            cache.put(at, vec![0], 1, Nanos::ZERO);
        });
        assert!(cache.places.len() <= PLACES);
    }
}
