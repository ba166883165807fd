//! The blocks that a worker has written last, each with its predicted version.

use portcullis_core::time::Nanos;

use crate::cas_predictor::CoarseTime;

/// The most blocks in the cache, for all tables of a plugin instance. This is the number of blocks of one rate-limit
/// table with the default number of keys. The memory of a worker thus does not grow with the number of tables.
const CAPACITY: usize = 8_192;

/// The upper bound of the hit score. A correct prediction saves about as much as a wrong one costs.
const MAX_SCORE: u8 = 16;
/// The number of updates without predictions after the score has reached 0.
const PAUSE_UPDATES: u32 = 256;
/// The score after the pause.
const SCORE_AFTER_PAUSE: u8 = 4;

/// Identifies a block of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId {
    pub(crate) table: usize,
    pub(crate) block: u32,
}

/// A cache of the blocks of some tables, each with its predicted version.
///
/// Where other workers constantly write the same blocks, predictions fail and the cache wastes memory. So each table has
/// a hit score. When it reaches 0, the cache drops the blocks of that table and stores no more of them for a while.
#[derive(Debug)]
pub(crate) struct BlockCache {
    /// The index of a block is its number plus that of its table, modulo [`CAPACITY`]. Block numbers are hashes, and the
    /// blocks of one number in several tables get neighbouring entries.
    entries: Vec<Option<Entry>>,
    /// One for each table.
    scores: Vec<HitScore>,
}

#[derive(Debug)]
struct Entry {
    id: BlockId,
    bytes: Vec<u8>,
    version: u32,
    stored_at: CoarseTime,
}

#[derive(Clone, Debug)]
struct HitScore {
    score: u8,
    /// Updates left in the pause.
    pause: u32,
}

impl BlockCache {
    /// An empty cache for this number of tables.
    pub(crate) fn new(tables: usize) -> Self {
        let score = HitScore {
            score: MAX_SCORE,
            pause: 0,
        };
        Self {
            entries: Vec::new(),
            scores: vec![score; tables],
        }
    }

    /// Whether to predict in the next update of a table. Call it once for each update.
    pub(crate) fn should_predict(&mut self, table: usize) -> bool {
        let Some(score) = self.scores.get_mut(table) else {
            return false;
        };
        if score.score > 0 {
            return true;
        }
        score.pause = score.pause.saturating_sub(1);
        if score.pause == 0 {
            score.score = SCORE_AFTER_PAUSE;
        }
        false
    }

    /// Removes a block, and returns it with its predicted version.
    pub(crate) fn take(&mut self, id: BlockId, now: Nanos) -> Option<(Vec<u8>, u32)> {
        let entry = self.entries.get_mut(index(id))?;
        let entry = entry.take_if(|entry| entry.id == id)?;
        let is_recent = entry.stored_at.is_recent(now);
        is_recent.then_some((entry.bytes, entry.version))
    }

    /// Stores a block, in place of another one with the same index.
    pub(crate) fn insert(&mut self, id: BlockId, bytes: Vec<u8>, version: u32, now: Nanos) {
        let score = self.scores.get(id.table);
        if score.is_none_or(|score| score.score == 0) {
            return;
        }
        let index = index(id);
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = Some(Entry {
                id,
                bytes,
                version,
                stored_at: CoarseTime::of(now),
            });
        }
    }

    /// Records a correct prediction.
    pub(crate) fn record_hit(&mut self, table: usize) {
        if let Some(score) = self.scores.get_mut(table) {
            score.score = score.score.saturating_add(1).min(MAX_SCORE);
        }
    }

    /// Records a wrong prediction.
    pub(crate) fn record_miss(&mut self, table: usize) {
        let Some(score) = self.scores.get_mut(table) else {
            return;
        };
        score.score = score.score.saturating_sub(1);
        if score.score == 0 {
            score.pause = PAUSE_UPDATES;
            self.entries.iter_mut().for_each(|entry| {
                entry.take_if(|entry| entry.id.table == table);
            });
        }
    }
}

fn index(id: BlockId) -> usize {
    id.table.wrapping_add(id.block as usize) % CAPACITY
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::SECOND;

    fn id(block: u32) -> BlockId {
        BlockId { table: 0, block }
    }

    #[test]
    fn a_block_is_returned_once_and_only_while_it_is_recent() {
        let mut cache = BlockCache::new(2);
        cache.insert(id(7), vec![1], 70, SECOND);
        cache.insert(id(8), vec![2], 80, SECOND);

        assert_eq!(cache.take(id(9), SECOND), None);
        assert_eq!(cache.take(id(7), SECOND * 2), Some((vec![1], 70)));
        assert_eq!(cache.take(id(7), SECOND * 2), None);
        assert_eq!(cache.take(id(8), SECOND * 20), None);
    }

    #[test]
    fn of_two_blocks_with_one_index_the_later_stays() {
        let mut cache = BlockCache::new(2);
        let other = 7 + CAPACITY as u32;
        cache.insert(id(7), vec![1], 70, Nanos::ZERO);
        cache.insert(id(other), vec![2], 80, Nanos::ZERO);

        assert_eq!(cache.take(id(7), Nanos::ZERO), None);
        assert_eq!(cache.take(id(other), Nanos::ZERO), Some((vec![2], 80)));
    }

    #[test]
    fn a_table_with_wrong_predictions_pauses_and_takes_no_memory() {
        let mut cache = BlockCache::new(2);
        cache.insert(id(7), vec![1], 70, Nanos::ZERO);
        while cache.should_predict(0) {
            cache.record_miss(0);
        }
        assert_eq!(cache.take(id(7), Nanos::ZERO), None);

        let pause = (1..1_000).find(|_| cache.should_predict(0));
        assert_eq!(pause, Some(PAUSE_UPDATES as i32));
    }

    #[test]
    fn as_many_correct_predictions_as_wrong_ones_are_enough() {
        let mut cache = BlockCache::new(2);
        for _ in 0..1_000 {
            assert!(cache.should_predict(0));
            cache.record_miss(0);
            cache.record_hit(0);
        }
    }

    #[test]
    fn tables_share_the_memory_and_not_the_score() {
        let mut cache = BlockCache::new(2);
        let other = BlockId { table: 1, block: 9 };
        cache.insert(id(7), vec![1], 70, Nanos::ZERO);
        cache.insert(other, vec![2], 90, Nanos::ZERO);
        while cache.should_predict(0) {
            cache.record_miss(0);
        }

        assert_eq!(cache.take(id(7), Nanos::ZERO), None);
        assert!(cache.should_predict(1));
        // The entry of `other`, as a block of the first table.
        assert_eq!(cache.take(id(10), Nanos::ZERO), None);
        assert_eq!(cache.take(other, Nanos::ZERO), Some((vec![2], 90)));

        (0..100_u32).for_each(|table| {
            let id = BlockId {
                table: 1,
                block: table * 101,
            };
            cache.insert(id, vec![0], 1, Nanos::ZERO);
        });
        assert!(cache.entries.len() <= CAPACITY);
    }
}
