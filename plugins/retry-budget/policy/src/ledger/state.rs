//! The state of each key, as the table stores it.

use portcullis_core::time::Nanos;
use portcullis_table::State;

/// The number of buckets in a window.
pub(super) const BUCKETS: usize = 10;

/// The size of a ledger in bytes: three numbers of 8, a pair of 4 for each bucket, and one of 4.
const SIZE: usize = 3 * 8 + BUCKETS * 2 * 4 + 4;

/// The requests and retries of one key, in the last ten buckets of time and in this second. The
/// [module](super) says what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The time at which the ledger began. It distinguishes the ledger from one of the same key that was evicted
    /// before.
    pub(super) begun: Nanos,
    /// The number of the newest bucket, counted from the Unix epoch.
    pub(super) newest: u64,
    /// Bucket number *n* is at position *n* mod 10.
    pub(super) buckets: [Bucket; BUCKETS],
    /// The last second in which the reserve was used, counted from the Unix epoch.
    pub(super) second: u64,
    /// How many retries the reserve paid for in that second.
    pub(super) from_reserve: u32,
}

/// The events in a tenth of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Requests, each of which is a deposit.
    pub(super) requests: u32,
    /// Retries that deposits paid for, each of which is a withdrawal.
    pub(super) retries: u32,
}

impl Ledger {
    /// The bucket with this number, if it is still in the window.
    pub(super) fn bucket(&mut self, number: u64) -> Option<&mut Bucket> {
        let age = self.newest.checked_sub(number)?;
        let is_in_window = age < BUCKETS as u64;
        is_in_window.then(|| self.slot(number)).flatten()
    }

    /// The position of a bucket, which may hold another bucket.
    pub(super) fn slot(&mut self, number: u64) -> Option<&mut Bucket> {
        // Less than 10.
        self.buckets.get_mut((number % BUCKETS as u64) as usize)
    }
}

impl State for Ledger {
    type Bytes = [u8; SIZE];

    const HAS_FLOOR: bool = false;

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (chunks, _) = bytes.as_chunks_mut();
        let mut chunks = chunks.iter_mut();
        // A loop over one chain of all words would take ten times as many instructions.
        let mut put = |word: u32| {
            if let Some(chunk) = chunks.next() {
                *chunk = word.to_le_bytes();
            }
        };
        for number in [self.begun.get(), self.newest, self.second] {
            put(number as u32);
            put((number >> 32) as u32);
        }
        for bucket in self.buckets {
            put(bucket.requests);
            put(bucket.retries);
        }
        put(self.from_reserve);
        bytes
    }

    fn from_bytes(bytes: [u8; SIZE]) -> Self {
        let (chunks, _) = bytes.as_chunks();
        let mut words = chunks.iter().map(|chunk| u32::from_le_bytes(*chunk));
        let mut narrow = || words.next().unwrap_or_default();
        let mut wide = || u64::from(narrow()) | u64::from(narrow()) << 32;
        let [begun, newest, second] = [wide(), wide(), wide()];
        let buckets = std::array::from_fn(|_| Bucket {
            requests: narrow(),
            retries: narrow(),
        });
        Self {
            begun: Nanos::new(begun),
            newest,
            buckets,
            second,
            from_reserve: narrow(),
        }
    }
}
