//! Headers as a host reads them.
//!
//! Most headers of a message are never looked at, and of the others, policies rarely keep anything. So the host copies
//! all names and values into one block of memory, and a part becomes a value of its own when a policy keeps it.

use std::cell::OnceCell;
use std::ops::Range;

use bytes::Bytes;

use super::HeaderMap;

/// The headers of a message, in the order in which the host has them.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub(super) block: Vec<u8>,
    pub(super) lines: Vec<Line>,
}

/// One line of a header.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: Part,
    pub(super) value: Part,
}

/// A name or a value.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// In the block, unless it has its own bytes.
    start: u32,
    length: u32,
    bytes: OnceCell<Bytes>,
}

impl Received {
    /// Copies headers from a host. Names are in lower case. `None` if they are larger than 4 GiB.
    pub fn copy<'a>(
        headers: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) -> Option<Self> {
        let sizes = headers
            .clone()
            .map(|(name, value)| name.len() + value.len());
        let size: usize = sizes.sum();
        u32::try_from(size).ok()?;
        let mut block = Vec::with_capacity(size);
        let mut lines = Vec::with_capacity(headers.len() + HeaderMap::EXPECTED_CHANGES);
        let mut copy = |text: &[u8]| {
            // The whole block is small enough.
            let part = Part::in_block(block.len() as u32, text.len() as u32);
            block.extend_from_slice(text);
            part
        };
        for (name, value) in headers {
            lines.push(Line {
                name: copy(name),
                value: copy(value),
            });
        }
        Some(Self { block, lines })
    }

    /// The headers in a block, by the positions of their names and values. Names are in lower case. `None` if a position
    /// is not in the block.
    pub fn in_block(
        block: Vec<u8>,
        headers: impl ExactSizeIterator<Item = Option<(Range<u32>, Range<u32>)>>,
    ) -> Option<Self> {
        let size = u32::try_from(block.len()).ok()?;
        let part = |range: Range<u32>| {
            let length = range.end.checked_sub(range.start)?;
            (range.end <= size).then(|| Part::in_block(range.start, length))
        };
        let mut lines = Vec::with_capacity(headers.len() + HeaderMap::EXPECTED_CHANGES);
        for header in headers {
            let (name, value) = header?;
            lines.push(Line {
                name: part(name)?,
                value: part(value)?,
            });
        }
        Some(Self { block, lines })
    }

    /// Removes every line of this name. Returns false if there was none.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let Self { block, lines } = self;
        let before = lines.len();
        lines.retain(|line| !line.name.is(name, block));
        lines.len() != before
    }
}

impl Line {
    pub(super) fn new(name: Bytes, value: Bytes) -> Self {
        Self {
            name: Part::new(name),
            value: Part::new(value),
        }
    }
}

impl Part {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self {
            start: 0,
            // Only compared with other lengths, before the texts are.
            length: bytes.len() as u32,
            bytes: bytes.into(),
        }
    }

    fn in_block(start: u32, length: u32) -> Self {
        Self {
            start,
            length,
            bytes: OnceCell::new(),
        }
    }

    /// Whether the text may be of this length.
    pub(super) fn may_have_length(&self, length: usize) -> bool {
        self.length == length as u32
    }

    /// Whether this is the text.
    pub(super) fn is(&self, text: &[u8], block: &[u8]) -> bool {
        self.may_have_length(text.len()) && self.text(block) == text
    }

    /// The text, which may be in the block.
    pub(super) fn text<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        match self.bytes.get() {
            Some(bytes) => bytes,
            None => {
                let start = self.start as usize;
                let end = start.saturating_add(self.length as usize);
                block.get(start..end).unwrap_or_default()
            }
        }
    }

    /// The same text, to keep.
    pub(super) fn bytes<'a>(&'a self, block: &[u8]) -> &'a Bytes {
        let text = || Bytes::copy_from_slice(self.text(block));
        self.bytes.get_or_init(text)
    }
}
