//! Reading and writing numbers in bytes, one after another.

use portcullis_core::time::Nanos;

/// Reads numbers from the front of some bytes. Missing bytes read as 0.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((first, rest)) = self.0.split_first_chunk() else {
            self.0 = &[];
            return [0; N];
        };
        self.0 = rest;
        *first
    }

    pub(super) fn take_time(&mut self) -> Nanos {
        Nanos::new(u64::from_le_bytes(self.take()))
    }
}

/// Writes numbers to the front of some bytes. Numbers that do not fit are dropped.
pub(super) struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn put<const N: usize>(&mut self, number: [u8; N]) {
        if let Some((first, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *first = number;
            self.0 = rest;
        }
    }

    pub(super) fn put_time(&mut self, time: Nanos) {
        self.put(time.get().to_le_bytes());
    }
}
