//! The headers of one message, as bytes, and the changes that a policy made to them.
//!
//! A header value is a sequence of bytes that need not be UTF-8, a name may occur several times, and order
//! matters: nothing here merges, reorders or re-encodes headers. Names are lower-case, as proxies pass them;
//! pseudo-headers (`:path`) are ordinary entries.
//!
//! The map applies and records every change, so that the next policy sees it and the host can carry it out. A later
//! change of a header replaces the earlier ones, so the host carries out no change that nobody would see.

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

/// Whether a text is a token (RFC 9110, section 5.6.2), as header names and methods must be.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn map(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        HeaderMap::new(
            entries
                .iter()
                .map(|(name, value)| (Bytes::from_static(name.as_bytes()), (*value).into()))
                .collect(),
        )
    }

    fn lines(map: &HeaderMap) -> Vec<String> {
        map.iter()
            .map(|(name, value)| {
                format!(
                    "{}: {}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value)
                )
            })
            .collect()
    }

    #[test]
    fn set_leaves_one_line_where_the_first_stood() {
        let mut headers = map(&[("a", "1"), ("x", "old"), ("b", "2"), ("x", "older")]);
        headers.set("x".into(), "new".into());
        assert_eq!(lines(&headers), ["a: 1", "x: new", "b: 2"]);
    }

    #[test]
    fn removing_what_is_not_there_is_no_change() {
        let mut headers = map(&[("a", "1")]);
        assert!(!headers.remove("b".into()));
        assert!(headers.changes().is_empty());
        assert!(headers.remove("a".into()));
        assert_eq!(headers.changes(), [Change::Remove("a".into())]);
    }

    #[test]
    fn the_last_value_of_a_header_is_the_only_change() {
        let mut headers = map(&[("a", "1")]);
        headers.set("x".into(), "1".into());
        headers.set("a".into(), "2".into());
        headers.set("x".into(), "2".into());
        let set = |name, value| Change::Set(Bytes::from_static(name), Bytes::from_static(value));
        assert_eq!(headers.changes(), [set(b"x", b"2"), set(b"a", b"2")]);
        headers.append("a".into(), "3".into());
        headers.set("a".into(), "4".into());
        assert_eq!(headers.changes(), [set(b"x", b"2"), set(b"a", b"4")]);
        assert_eq!(lines(&headers), ["a: 4", "x: 2"]);
    }

    #[test]
    fn a_removal_is_the_only_change() {
        let mut headers = map(&[("a", "1")]);
        headers.append("a".into(), "2".into());
        headers.append("y".into(), "1".into());
        assert!(headers.remove("a".into()));
        assert!(headers.remove("y".into()));
        let remove = |name| Change::Remove(Bytes::from_static(name));
        assert_eq!(headers.changes(), [remove(b"a"), remove(b"y")]);
        headers.append("a".into(), "3".into());
        let set = Change::Set("a".into(), "3".into());
        assert_eq!(headers.changes(), [set, remove(b"y")]);
        assert!(headers.remove("a".into()));
        assert_eq!(headers.changes(), [remove(b"a"), remove(b"y")]);
    }

    /// What a host does with changes, one after the other.
    fn carried_out(received: &[(&'static str, &'static str)], changes: &[Change]) -> HeaderMap {
        let mut headers = map(received);
        for change in changes {
            let name = change.name().clone();
            match change {
                Change::Set(_, value) => headers.replace_lines(&name, std::slice::from_ref(value)),
                Change::Append(_, value) => headers.entries.push((name, value.clone())),
                Change::Remove(_) => headers.replace_lines(&name, &[]),
                Change::SetLines(_, lines) => headers.replace_lines(&name, lines),
            }
        }
        headers
    }

    /// Every sequence of four steps on a header that was received and on one that was not.
    #[test]
    fn the_changes_lead_to_what_policies_saw() {
        let received = [("a", "0"), ("b", "0"), ("a", "1")];
        for code in 0..8_usize.pow(4) {
            let mut headers = map(&received);
            for step in 0..4_u32 {
                let choice = code / 8_usize.pow(step) % 8;
                let name = Bytes::from_static(if choice < 4 { b"a" } else { b"c" });
                let value = Bytes::from(format!("{step}"));
                match choice % 4 {
                    0 => headers.set(name, value),
                    1 => headers.append(name, value),
                    2 => drop(headers.remove(name)),
                    _ => headers.set_lines(name, vec![value.clone(), value]),
                }
            }
            let sent = carried_out(&received, headers.changes());
            for name in ["a", "b", "c"] {
                let of = |map: &HeaderMap| map.get_all(name).cloned().collect::<Vec<_>>();
                assert_eq!(of(&sent), of(&headers), "{name} after {code:o}");
            }
        }
    }

    #[test]
    fn each_spelling_is_removed_under_its_own_name() {
        let spelled = [
            ("x_user", "1"),
            ("a", "0"),
            ("x-user", "2"),
            ("x.user", "3"),
        ];
        let mut headers = map(&[&spelled[..], &[("x_user", "4")]].concat());
        assert_eq!(headers.spellings("x-user").count(), 4);
        let mut cleaned = headers.clone();
        assert!(cleaned.remove_other_spellings("x-user"));
        assert_eq!(lines(&cleaned), ["a: 0", "x-user: 2"]);
        assert!(headers.remove_spellings("x-user"));
        assert_eq!(lines(&headers), ["a: 0"]);
        let names = ["x_user", "x-user", "x.user"];
        assert_eq!(
            headers.changes(),
            names.map(|name| Change::Remove(name.into()))
        );
        assert!(!headers.remove_spellings("x-user"));
    }

    #[test]
    fn lines_are_kept_apart_and_in_order() {
        let mut headers = map(&[("set-cookie", "a=1"), ("z", "0"), ("set-cookie", "b=2")]);
        headers.set_lines(
            "set-cookie".into(),
            vec!["a=1; Secure".into(), "b=2".into()],
        );
        assert_eq!(
            lines(&headers),
            ["set-cookie: a=1; Secure", "set-cookie: b=2", "z: 0"]
        );
        assert_eq!(headers.get_all("set-cookie").count(), 2);
        assert_eq!(headers.get("set-cookie").unwrap(), "a=1; Secure");
    }
}
