//! The bytes of the shared value. The [module](super) describes them.

use portcullis_core::time::Nanos;

const VERSION: u8 = 1;
const FIELDS: usize = 9;
const HEADER: usize = 1 + FIELDS * size_of::<u64>();

/// The version of the layout, for identities.
pub(super) const LAYOUT: u8 = VERSION;

/// The known facts about fetching a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The ticket of the latest fetch.
    pub(super) started_at: Nanos,
    /// The end of its lease; 0 once it has ended.
    pub(super) lease_until: Nanos,
    /// The start of the latest fetch because of a miss; 0 without one.
    pub(super) missed_at: Nanos,
    /// The number of failed fetches since the last success.
    pub(super) failures: u64,
    /// The time of the last failure.
    pub(super) failed_at: Nanos,
    /// The `Retry-After` of the last failure.
    pub(super) retry_after: Nanos,
    /// A random number, drawn when the last fetch ended.
    pub(super) random: u64,
    /// 0 without a document.
    pub(super) generation: u64,
    /// The ticket of the document.
    pub(super) fetched_at: Nanos,
}

impl Record {
    /// Reads a value: the record and the document. `None` if the bytes are not such a value.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let Some((version, rest)) = bytes.split_first() else {
            return Some((Self::default(), &[]));
        };
        let (fields, body) = rest.split_at_checked(HEADER - 1)?;
        let (fields, _) = fields.as_chunks();
        let fields = <[[u8; 8]; FIELDS]>::try_from(fields).ok()?;
        let [
            started_at,
            lease_until,
            missed_at,
            failures,
            failed_at,
            retry_after,
            random,
            generation,
            fetched_at,
        ] = fields.map(u64::from_le_bytes);
        let record = Self {
            started_at: Nanos::new(started_at),
            lease_until: Nanos::new(lease_until),
            missed_at: Nanos::new(missed_at),
            failures,
            failed_at: Nanos::new(failed_at),
            retry_after: Nanos::new(retry_after),
            random,
            generation,
            fetched_at: Nanos::new(fetched_at),
        };
        let is_well_formed = *version == VERSION && (generation == 0) == body.is_empty();
        is_well_formed.then_some((record, body))
    }

    /// Writes the record and keeps the document.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        let fields = [
            self.started_at.get(),
            self.lease_until.get(),
            self.missed_at.get(),
            self.failures,
            self.failed_at.get(),
            self.retry_after.get(),
            self.random,
            self.generation,
            self.fetched_at.get(),
        ]
        .map(u64::to_le_bytes);
        let header = [VERSION].into_iter().chain(fields.into_iter().flatten());
        bytes.resize(bytes.len().max(HEADER), 0);
        let old = bytes.iter_mut();
        old.zip(header).for_each(|(old, new)| *old = new);
    }

    /// Writes the record and another document.
    pub(super) fn write_with(self, body: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.reserve_exact(HEADER + body.len());
        self.write(bytes);
        bytes.extend_from_slice(body);
    }
}
