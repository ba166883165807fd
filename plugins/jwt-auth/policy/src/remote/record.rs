//! The bytes of the shared value. The [module](super) describes them.

const VERSION: u8 = 1;
const FIELDS: usize = 9;
const HEADER: usize = 1 + FIELDS * size_of::<u64>();

/// The version of the layout, for identities.
pub(super) const LAYOUT: u8 = VERSION;

/// What is known about fetching a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The ticket of the latest fetch.
    pub(super) started_at: u64,
    /// The end of its lease; 0 when it has ended.
    pub(super) lease_until: u64,
    /// When the latest fetch because of a miss was started; 0 when there was none.
    pub(super) missed_at: u64,
    /// How many fetches have failed since the last success.
    pub(super) failures: u64,
    /// When the last of them failed.
    pub(super) failed_at: u64,
    /// For how long the server asked to be left alone then.
    pub(super) retry_after: u64,
    /// Drawn when the last fetch ended.
    pub(super) random: u64,
    /// 0 when there is no document.
    pub(super) generation: u64,
    /// The ticket of the document.
    pub(super) fetched_at: u64,
}

impl Record {
    /// Reads a value: the record and the document. `None` if the bytes are no such value.
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
            started_at,
            lease_until,
            missed_at,
            failures,
            failed_at,
            retry_after,
            random,
            generation,
            fetched_at,
        };
        let is_well_formed = *version == VERSION && (generation == 0) == body.is_empty();
        is_well_formed.then_some((record, body))
    }

    /// Writes the record, and leaves the document as it is.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        let fields = [
            self.started_at,
            self.lease_until,
            self.missed_at,
            self.failures,
            self.failed_at,
            self.retry_after,
            self.random,
            self.generation,
            self.fetched_at,
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
