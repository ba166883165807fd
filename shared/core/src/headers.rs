//! The headers of one message, as bytes, and the changes that a policy made to them.
//!
//! A header value is a sequence of bytes that need not be UTF-8, a name may occur several times, and order
//! matters: nothing here merges, reorders or re-encodes headers. Names are lower-case, as proxies pass them;
//! pseudo-headers (`:path`) are ordinary entries.
//!
//! The map applies and records every change, so that the next policy sees it and the host can carry it out. A later
//! change of a header replaces the earlier ones, so the host carries out no change that nobody would see.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::readings::is_spelling_of;

/// The request header that marks requests which pass only because of shadow mode.
pub const SHADOW_HEADER: &str = "x-portcullis-shadow";

/// The headers (or trailers) of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap {
    entries: Vec<(Bytes, Bytes)>,
    changes: Vec<Change>,
    /// Whether a header may be absent because a change removed it. If not, an absent header has no changes, and
    /// nothing has to be looked up.
    has_removed: bool,
    /// Whether nobody has read the headers, so that only changes are recorded.
    is_unread: bool,
}

/// One change to a header map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replace all values of the header by this one.
    Set(Bytes, Bytes),
    /// Add this value to the header, as a line of its own.
    Append(Bytes, Bytes),
    /// Remove the header.
    Remove(Bytes),
    /// Replace all values of the header by these, one line each.
    SetLines(Bytes, Vec<Bytes>),
}

impl Change {
    /// The name of the header.
    fn name(&self) -> &Bytes {
        match self {
            Self::Set(name, _)
            | Self::Append(name, _)
            | Self::Remove(name)
            | Self::SetLines(name, _) => name,
        }
    }
}

impl HeaderMap {
    /// The number of headers that a policy may add before the map has to grow, if its creator leaves room for them.
    pub const EXPECTED_CHANGES: usize = 12;

    /// A map of the given entries, without changes. Spare capacity in the vector leaves room for headers to come.
    pub fn new(entries: Vec<(Bytes, Bytes)>) -> Self {
        Self {
            entries,
            changes: Vec::new(),
            has_removed: false,
            is_unread: false,
        }
    }

    /// A map of headers that nobody has read: it only records changes. Use it to set and to append headers.
    pub fn unread() -> Self {
        Self {
            is_unread: true,
            ..Self::default()
        }
    }

    /// Repeats the changes of another map, of the same message.
    pub fn repeat(&mut self, changes: &[Change]) {
        for change in changes {
            match change.clone() {
                Change::Set(name, value) => self.set(name, value),
                Change::Append(name, value) => self.append(name, value),
                Change::Remove(name) => {
                    self.remove(name);
                }
                Change::SetLines(name, lines) => self.set_lines(name, lines),
            }
        }
    }

    /// Copies the entries of another map and forgets all changes. Reuses the memory of this map.
    pub fn reset_to(&mut self, other: &Self) {
        self.entries.clone_from(&other.entries);
        self.changes.clear();
        self.has_removed = false;
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.get_all(name).next()
    }

    /// All values of a header, one for each line.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        self.entries
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value)
    }

    /// Whether the header is present, even if empty.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All lines that a server may read as this header, with their names: its own name, and every other
    /// [spelling](is_spelling_of) of it.
    pub fn spellings(&self, name: &str) -> impl Iterator<Item = &(Bytes, Bytes)> {
        self.entries
            .iter()
            .filter(move |(other, _)| is_spelling_of(other, name))
    }

    /// All entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Bytes, Bytes)> {
        self.entries.iter()
    }

    /// Replaces all values of the header by this one.
    pub fn set(&mut self, name: Bytes, value: Bytes) {
        if self.is_unread {
            self.replace_changes(Change::Set(name, value));
            return;
        }
        let mut lines = self.entries.iter_mut().filter(|(other, _)| *other == name);
        let is_absent = match (lines.next(), lines.next()) {
            (Some((_, old)), None) => {
                old.clone_from(&value);
                false
            }
            (None, _) => {
                self.entries.push((name.clone(), value.clone()));
                true
            }
            (Some(_), Some(_)) => {
                self.replace_lines(&name, std::slice::from_ref(&value));
                false
            }
        };
        if is_absent && !self.has_removed {
            self.record(Change::Set(name, value));
        } else {
            self.replace_changes(Change::Set(name, value));
        }
    }

    /// Adds one line to the header.
    pub fn append(&mut self, name: Bytes, value: Bytes) {
        if !self.is_unread {
            self.entries.push((name.clone(), value.clone()));
        }
        let is_removal =
            |change: &&mut Change| matches!(change, Change::Remove(own) if *own == name);
        let removed = match self.has_removed {
            true => self.changes.iter_mut().find(is_removal),
            false => None,
        };
        match removed {
            Some(change) => *change = Change::Set(name, value),
            None => self.record(Change::Append(name, value)),
        }
    }

    /// Removes every line of the header. Returns false if it had none; then nothing is recorded.
    pub fn remove(&mut self, name: Bytes) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(other, _)| *other != name);
        let removed = self.entries.len() != before;
        if removed {
            self.has_removed = true;
            self.replace_changes(Change::Remove(name));
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
        while let Some((name, _)) = self.entries.iter().find(|(name, _)| is_meant(name)) {
            removed |= self.remove(name.clone());
        }
        removed
    }

    /// Replaces all lines of the header by these.
    pub fn set_lines(&mut self, name: Bytes, lines: Vec<Bytes>) {
        self.has_removed |= lines.is_empty();
        self.replace_lines(&name, &lines);
        self.replace_changes(Change::SetLines(name, lines));
    }

    fn record(&mut self, change: Change) {
        if self.changes.capacity() == 0 {
            // Most policies change a few headers or a dozen, and growing costs more than the room.
            self.changes.reserve(Self::EXPECTED_CHANGES);
        }
        self.changes.push(change);
    }

    /// Notes a change that takes the place of all others of its header.
    fn replace_changes(&mut self, change: Change) {
        let name = change.name();
        match self.changes.iter().position(|other| other.name() == name) {
            None => self.record(change),
            Some(first) => {
                let name = name.clone();
                self.changes.retain(|other| *other.name() != name);
                self.changes.insert(first, change);
            }
        }
    }

    /// All changes so far. No change undoes an earlier one of the same header.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Puts the new lines where the first old one was.
    fn replace_lines(&mut self, name: &Bytes, lines: &[Bytes]) {
        let at = self
            .entries
            .iter()
            .position(|(other, _)| other == name)
            .unwrap_or(self.entries.len());
        self.entries.retain(|(other, _)| other != name);
        self.entries.splice(
            at..at,
            lines.iter().map(|line| (name.clone(), line.clone())),
        );
    }
}

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
