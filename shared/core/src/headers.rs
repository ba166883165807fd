//! The headers of one message, as bytes, and the changes that a policy made to them.
//!
//! A header value is a sequence of bytes that need not be UTF-8, a name may occur several times, and order
//! matters: nothing here merges, reorders or re-encodes headers. Names are lower-case, as proxies pass them;
//! pseudo-headers (`:path`) are ordinary entries.
//!
//! The map applies and records every change, so that the next policy sees it and the host can carry it out. A later
//! change of a header replaces the earlier ones, so the host carries out no change that nobody would see.

mod change;
mod received;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::readings::is_spelling_of;
pub use change::Change;
use change::Recorded;
use received::{Line, Part};
pub use received::{Received, Text};

/// The request header that marks requests which pass only because of shadow mode.
pub const SHADOW_HEADER: &str = "x-portcullis-shadow";

/// The headers (or trailers) of one message.
#[derive(Clone, Debug, Default)]
pub struct HeaderMap {
    received: Received,
    /// All changes but the last ones, which are [`appended`](Self::appended).
    changes: SmallVec<[Recorded; 1]>,
    /// The number of lines at the end that were appended after all other changes. Most policies only append, so these
    /// are not recorded a second time.
    appended: usize,
    /// Whether a header may be absent because a change removed it. If not, an absent header has no changes, and
    /// nothing has to be looked up.
    has_removed: bool,
    /// Whether nobody has read the headers, so that only changes are recorded.
    is_unread: bool,
}

impl HeaderMap {
    /// A map of headers from a host, without changes.
    pub fn of(received: Received) -> Self {
        Self {
            received,
            changes: SmallVec::new(),
            appended: 0,
            has_removed: false,
            is_unread: false,
        }
    }

    /// A map of the given entries, without changes.
    pub fn new(entries: Vec<(Bytes, Bytes)>) -> Self {
        let entries = entries.into_iter();
        let lines = entries.map(|(name, value)| Line::new(name, value));
        Self::of(Received {
            block: Vec::new(),
            lines: lines.collect(),
        })
    }

    /// A map of headers that nobody has read: it only records changes. Use it to set and to append headers.
    pub fn unread() -> Self {
        Self {
            is_unread: true,
            ..Self::default()
        }
    }

    /// Gives an empty map the memory of an earlier one.
    pub fn take_memory(&mut self, from: &mut Received) {
        std::mem::swap(&mut self.received, from);
    }

    /// Gives the memory of the headers to another map. The headers are gone then.
    pub fn give_memory(&mut self, to: &mut Received) {
        self.appended = 0;
        self.received.clear();
        std::mem::swap(&mut self.received, to);
    }

    /// Whether there is memory to keep for another map.
    pub fn has_memory(&self) -> bool {
        self.received.has_memory()
    }

    /// Whether nobody has read the headers.
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Fills in the headers that nobody had read, before all changes. After an error, they are still unread.
    pub fn read<E>(&mut self, fill: impl FnOnce(&mut Received) -> Result<(), E>) -> Result<(), E> {
        if !self.is_changed() {
            fill(&mut self.received)?;
            self.is_unread = false;
            return Ok(());
        }
        let mut received = Received::default();
        fill(&mut received)?;
        let unread = std::mem::replace(self, Self::of(received));
        for change in unread.changes() {
            match change {
                Change::Set(name, value) => self.set(name.clone(), value.clone()),
                Change::Append(name, value) => self.append_text(name.clone(), value),
                Change::Remove(name) => drop(self.remove(name.clone())),
                Change::SetLines(name, lines) => self.set_lines(name.clone(), lines.to_vec()),
            }
        }
        Ok(())
    }

    /// The same headers, as if a host had them.
    pub fn without_changes(&self) -> Self {
        Self::of(self.received.clone())
    }

    /// Copies the entries of another map and forgets all changes. Reuses the memory of this map.
    pub fn reset_to(&mut self, other: &Self) {
        self.received.clone_from(&other.received);
        self.changes.clear();
        self.appended = 0;
        self.has_removed = false;
    }

    /// The first value of a header, to keep.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.get_all(name).next()
    }

    /// The first value of a header.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All values of a header, one for each line.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let block = &self.received.block;
        let lines = self.lines_of(name.as_bytes());
        lines.map(move |line| line.value.text(block))
    }

    /// All values of a header, one for each line, to keep.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        let block = &self.received.block;
        let lines = self.lines_of(name.as_bytes());
        lines.map(move |line| line.value.bytes(block))
    }

    /// Whether the header is present, even if empty.
    pub fn contains(&self, name: &str) -> bool {
        self.lines_of(name.as_bytes()).next().is_some()
    }

    /// All lines that a server may read as this header, with their names: its own name, and every other
    /// [spelling](is_spelling_of) of it.
    pub fn spellings(&self, name: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
        let block = &self.received.block;
        let lines = self.received.lines.iter();
        lines
            .filter(move |line| {
                // A spelling replaces characters one by one.
                let is_possible = line.name.may_have_length(name.len());
                is_possible && is_spelling_of(line.name.text(block), name)
            })
            .map(|line| (line.name.text(block), line.value.text(block)))
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        let block = &self.received.block;
        let lines = self.received.lines.iter();
        lines.map(|line| (line.name.text(block), line.value.text(block)))
    }

    /// All names and values, in order, to keep.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Bytes, &Bytes)> {
        let block = &self.received.block;
        let lines = self.received.lines.iter();
        lines.map(|line| (line.name.bytes(block), line.value.bytes(block)))
    }

    fn lines_of(&self, name: &[u8]) -> impl Iterator<Item = &Line> {
        let block = &self.received.block;
        let lines = self.received.lines.iter();
        lines.filter(move |line| line.name.is(name, block))
    }

    /// Replaces all values of the header by this one.
    pub fn set(&mut self, name: Bytes, value: Bytes) {
        if self.is_unread {
            self.replace_changes(Recorded::Set(name, value));
            return;
        }
        let Received { block, lines } = &mut self.received;
        let mut lines = lines.iter_mut().filter(|line| line.name.is(&name, block));
        match (lines.next(), lines.next()) {
            (None, _) if !self.has_removed => {
                self.settle();
                self.received
                    .lines
                    .push(Line::new(name.clone(), value.clone()));
                self.changes.push(Recorded::Set(name, value));
                return;
            }
            // An appended line need not be recorded: this change takes its place.
            (Some(line), None) => line.value = Part::new(value.clone()),
            (None, _) | (Some(_), Some(_)) => {
                self.replace_lines(&name, std::slice::from_ref(&value));
            }
        }
        self.replace_changes(Recorded::Set(name, value));
    }

    /// Adds one line to the header.
    pub fn append(&mut self, name: Bytes, value: Bytes) {
        let is_removal =
            |change: &Recorded| matches!(change, Recorded::Remove(own) if *own == name);
        let removed = match self.has_removed {
            true => self.changes.iter().position(is_removal),
            false => None,
        };
        match removed {
            Some(position) => {
                self.settle();
                self.received
                    .lines
                    .push(Line::new(name.clone(), value.clone()));
                if let Some(change) = self.changes.get_mut(position) {
                    *change = Recorded::Set(name, value);
                }
            }
            None => {
                self.received.lines.push(Line::new(name, value));
                self.appended += 1;
            }
        }
    }

    /// Adds one line with a copy of the value, which takes no memory of its own.
    pub fn append_text(&mut self, name: Bytes, value: &[u8]) {
        self.append_with(name, |text| text.push(value));
    }

    /// Adds one line with the value that `write` writes, which takes no memory of its own.
    pub fn append_with(&mut self, name: Bytes, write: impl FnOnce(&mut Text<'_>)) {
        if self.has_removed {
            self.append(name, Text::written_by(write));
            return;
        }
        self.received.push(name, write);
        self.appended += 1;
    }

    /// Adds one line for each of these.
    pub fn append_all(&mut self, headers: impl Iterator<Item = (Bytes, Bytes)>) {
        if self.has_removed {
            headers.for_each(|(name, value)| self.append(name, value));
            return;
        }
        let lines = &mut self.received.lines;
        let before = lines.len();
        lines.extend(headers.map(|(name, value)| Line::new(name, value)));
        self.appended += lines.len() - before;
    }

    /// Removes every line of the header. Returns false if it had none; then nothing is recorded.
    pub fn remove(&mut self, name: Bytes) -> bool {
        self.settle();
        let removed = self.received.remove(&name);
        if removed {
            self.has_removed = true;
            self.replace_changes(Recorded::Remove(name));
        }
        removed
    }

    /// Removes every line that a server may read as this header, under each [spelling](is_spelling_of) of its
    /// name. Returns false if there was none; then nothing is recorded.
    pub fn remove_spellings(&mut self, name: &str) -> bool {
        self.remove_each(|other| is_spelling_of(other, name))
    }

    /// Like [`remove_spellings`](Self::remove_spellings), but keeps the lines with the exact name.
    pub fn remove_other_spellings(&mut self, name: &str) -> bool {
        self.remove_each(|other| is_spelling_of(other, name) && other != name.as_bytes())
    }

    /// Removes the headers whose names are meant.
    fn remove_each(&mut self, is_meant: impl Fn(&[u8]) -> bool) -> bool {
        let mut removed = false;
        loop {
            let mut names = self.iter().map(|(name, _)| name);
            let Some(name) = names.find(|name| is_meant(name)) else {
                return removed;
            };
            let name = Bytes::copy_from_slice(name);
            drop(names);
            removed |= self.remove(name);
        }
    }

    /// Replaces all lines of the header by these.
    pub fn set_lines(&mut self, name: Bytes, lines: Vec<Bytes>) {
        self.has_removed |= lines.is_empty();
        self.replace_lines(&name, &lines);
        self.replace_changes(Recorded::SetLines(name, lines));
    }

    /// The lines that were appended after all other changes.
    fn appended_lines(&self) -> &[Line] {
        let start = self.received.lines.len() - self.appended;
        self.received.lines.get(start..).unwrap_or_default()
    }

    /// Records the appended lines like all other changes.
    fn settle(&mut self) {
        if self.appended == 0 {
            return;
        }
        let block = &self.received.block;
        let appended = self.appended_lines().iter();
        let record = |line: &Line| {
            Recorded::Append(
                line.name.bytes(block).clone(),
                line.value.bytes(block).clone(),
            )
        };
        let appended: Vec<Recorded> = appended.map(record).collect();
        self.changes.extend(appended);
        self.appended = 0;
        if self.is_unread {
            self.received.lines.clear();
        }
    }

    /// Notes a change that takes the place of all others of its header.
    fn replace_changes(&mut self, change: Recorded) {
        self.settle();
        let name = change.name();
        match self.changes.iter().position(|other| other.name() == name) {
            None => self.changes.push(change),
            Some(first) => {
                let name = name.clone();
                self.changes.retain(|other| *other.name() != name);
                self.changes.insert(first, change);
            }
        }
    }

    /// Whether there are changes.
    pub fn is_changed(&self) -> bool {
        self.appended > 0 || !self.changes.is_empty()
    }

    /// All changes so far, in the order in which a host carries them out. No change undoes an earlier one of the same
    /// header.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let appended = self.appended();
        let append = |(name, value)| Change::Append(name, value);
        self.first_changes().chain(appended.map(append))
    }

    /// The changes up to those that are [appended](Self::appended).
    pub fn first_changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().map(Recorded::as_change)
    }

    /// The last changes, which only append lines: all of them, mostly.
    pub fn appended(&self) -> impl Iterator<Item = (&Bytes, &[u8])> {
        let block = &self.received.block;
        let lines = self.appended_lines().iter();
        lines.map(|line| (line.name.bytes(block), line.value.text(block)))
    }

    /// Puts the new lines where the first old one was.
    fn replace_lines(&mut self, name: &Bytes, lines: &[Bytes]) {
        self.settle();
        let mut names = self.iter().map(|(name, _)| name);
        let at = names.position(|other| other == name);
        drop(names);
        let at = at.unwrap_or(self.received.lines.len());
        self.received.remove(name);
        let lines = lines
            .iter()
            .map(|line| Line::new(name.clone(), line.clone()));
        self.received.lines.splice(at..at, lines);
    }
}

impl PartialEq for HeaderMap {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter()) && self.changes().eq(other.changes())
    }
}

impl Eq for HeaderMap {}

/// The whole number that a header's value is, without a sign; a number above 32 bits becomes `u32::MAX`.
pub fn whole_number(value: &[u8]) -> Option<u32> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u32, |number, digit| {
        let digit = u32::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    }))
}

/// Whether a text is a token (RFC 9110, section 5.6.2), as header names and methods must be.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
