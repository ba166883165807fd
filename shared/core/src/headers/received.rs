//! Headers as a host reads them.
//!
//! Most headers of a message are never looked at, and of the others, policies rarely keep anything. So the host copies
//! all names and values into one block of memory, and a part becomes a value of its own when a policy keeps it.

use std::cell::OnceCell;
use std::ops::Range;

use bytes::Bytes;

/// The headers of a message, in the order in which the host has them.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub(super) block: Vec<u8>,
    pub(super) lines: Vec<Line>,
}

/// The number of headers that policies may add before the list of lines has to grow.
const EXPECTED_CHANGES: usize = 12;

/// The most lines whose memory is kept for the next message, and the most bytes of their block.
const KEPT_LINES: usize = 64;
const KEPT_BYTES: usize = 8_192;

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

/// A value that is being written.
#[derive(Debug)]
pub struct Text<'a>(&'a mut Vec<u8>);

impl Text<'_> {
    /// The value that `write` writes.
    pub fn written_by(write: impl FnOnce(&mut Text<'_>)) -> Bytes {
        let mut text = Vec::new();
        write(&mut Text(&mut text));
        text.into()
    }

    /// Adds a part at the end.
    pub fn push(&mut self, part: &[u8]) {
        self.0.extend_from_slice(part);
    }
}

impl Received {
    /// Copies the headers of a message, in place of those that are here. Names are in lower case. Returns false if they
    /// are larger than 4 GiB.
    pub fn copy<'a>(
        &mut self,
        headers: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) -> bool {
        let Self { block, lines } = self;
        block.clear();
        lines.clear();
        let sizes = headers
            .clone()
            .map(|(name, value)| name.len() + value.len());
        let size: usize = sizes.sum();
        if u32::try_from(size).is_err() {
            return false;
        }
        block.reserve(size);
        lines.reserve(headers.len() + EXPECTED_CHANGES);
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
        true
    }

    /// Takes the headers in a block, by the positions of their names and values, in place of those that are here. Names
    /// are in lower case. Returns false if a position is not in the block.
    pub fn take_block(
        &mut self,
        block: Vec<u8>,
        headers: impl ExactSizeIterator<Item = Option<(Range<u32>, Range<u32>)>>,
    ) -> bool {
        self.lines.clear();
        self.block = block;
        self.add_lines(headers).is_some()
    }

    fn add_lines(
        &mut self,
        headers: impl ExactSizeIterator<Item = Option<(Range<u32>, Range<u32>)>>,
    ) -> Option<()> {
        let size = u32::try_from(self.block.len()).ok()?;
        let part = |range: Range<u32>| {
            let length = range.end.checked_sub(range.start)?;
            (range.end <= size).then(|| Part::in_block(range.start, length))
        };
        let room = headers.len() + EXPECTED_CHANGES;
        self.lines.reserve(room);
        for header in headers {
            let (name, value) = header?;
            self.lines.push(Line {
                name: part(name)?,
                value: part(value)?,
            });
        }
        Some(())
    }

    /// Adds a line with the value that `write` writes.
    pub(super) fn push(&mut self, name: Bytes, write: impl FnOnce(&mut Text<'_>)) {
        let start = self.block.len();
        write(&mut Text(&mut self.block));
        let value = match (u32::try_from(start), u32::try_from(self.block.len())) {
            (Ok(start), Ok(end)) => Part::in_block(start, end.saturating_sub(start)),
            _ => Part::new(self.block.split_off(start).into()),
        };
        let name = Part::new(name);
        self.lines.push(Line { name, value });
    }

    /// Whether there is memory to keep for another message.
    pub fn has_memory(&self) -> bool {
        self.lines.capacity() > 0
    }

    /// Removes the headers, and keeps their memory unless it is much.
    pub fn clear(&mut self) {
        if self.lines.capacity() > KEPT_LINES || self.block.capacity() > KEPT_BYTES {
            *self = Self::default();
            return;
        }
        self.lines.clear();
        self.block.clear();
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
