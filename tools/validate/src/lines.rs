//! Maps JSON paths to lines of a file.

use portcullis_core::config::member_path;
use std::collections::BTreeMap;

/// Lines by JSON path.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The line where the whole value begins.
    first: usize,
    /// Whether each line of the JSON text is a line of the file.
    is_text: bool,
    by_path: BTreeMap<String, usize>,
}

impl Lines {
    /// A value that begins at this line. The lines of its parts are unknown, or inserted later.
    pub(crate) fn at(first: usize) -> Self {
        Self {
            first,
            is_text: false,
            by_path: BTreeMap::new(),
        }
    }

    /// Adds the line of a path, unless it is known already.
    pub(crate) fn insert(&mut self, path: &str, line: usize) {
        self.by_path.entry(path.to_owned()).or_insert(line);
    }

    /// The line of the value at this path, or of the innermost enclosing value whose line is known.
    pub(crate) fn find(&self, path: &str) -> usize {
        let mut path = Some(path);
        while let Some(inner) = path {
            if let Some(line) = self.by_path.get(inner) {
                return *line;
            }
            path = inner.rfind(['.', '[']).and_then(|end| inner.get(..end));
        }
        self.first
    }

    /// Converts a line of the JSON text to a line of the file, both counted from 1.
    pub(crate) fn of_text(&self, line: usize) -> usize {
        match self.is_text {
            true => self.first + line.saturating_sub(1),
            false => self.first,
        }
    }

    /// The lines in a JSON text whose first line is `first`. Of invalid JSON, only the valid beginning has lines.
    pub(crate) fn of_json(text: &str, first: usize) -> Self {
        let mut scanner = Scanner {
            rest: text,
            line: first,
            lines: Self {
                is_text: true,
                ..Self::at(first)
            },
        };
        scanner.value("$", scanner.line, 0);
        scanner.lines
    }
}

/// The limit of serde_json.
const MAX_DEPTH: usize = 128;

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    lines: Lines,
}

impl Scanner<'_> {
    /// Scans a value. `line` is that of the name, if the value is a member. `None` where the text ends or is invalid.
    fn value(&mut self, path: &str, line: usize, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.lines.insert(path, line);
        match self.peek()? {
            '{' => self.members(path, depth),
            '[' => self.items(path, depth),
            '"' => self.string().map(drop),
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']);
                self.rest = self.rest.get(end.unwrap_or(self.rest.len())..)?;
                Some(())
            }
        }
    }

    fn members(&mut self, path: &str, depth: usize) -> Option<()> {
        self.take('{')?;
        if self.peek()? == '}' {
            return self.take('}');
        }
        loop {
            self.peek()?;
            let line = self.line;
            let name = self.string()?;
            self.take(':')?;
            self.value(&member_path(path, &name), line, depth + 1)?;
            match self.peek()? {
                ',' => self.take(',')?,
                _ => return self.take('}'),
            }
        }
    }

    fn items(&mut self, path: &str, depth: usize) -> Option<()> {
        self.take('[')?;
        if self.peek()? == ']' {
            return self.take(']');
        }
        for i in 0.. {
            self.peek()?;
            self.value(&format!("{path}[{i}]"), self.line, depth + 1)?;
            match self.peek()? {
                ',' => self.take(',')?,
                _ => return self.take(']'),
            }
        }
        None
    }

    fn string(&mut self) -> Option<String> {
        self.peek()?;
        let mut is_escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            is_end
        });
        let (text, rest) = self.rest.split_at_checked(end?.0 + 1)?;
        self.rest = rest;
        serde_json::from_str(text).ok()
    }

    /// Skips whitespace and returns the next character.
    fn peek(&mut self) -> Option<char> {
        let trimmed = self.rest.trim_start();
        let skipped = self.rest.strip_suffix(trimmed).unwrap_or_default();
        self.line += skipped.matches('\n').count();
        self.rest = trimmed;
        trimmed.chars().next()
    }

    fn take(&mut self, expected: char) -> Option<()> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_line_where_it_begins() {
        let text = "{\n  \"a\": [1,\n    {\"b c\": \"x\\\"\\\\\"},\n    [],\n\n 2],\n  \"d\":\n    true\n}";
        let lines = Lines::of_json(text, 10);
        for (path, line) in [
            ("$", 10),
            ("$.a", 11),
            ("$.a[0]", 11),
            ("$.a[1]", 12),
            ("$.a[1][\"b c\"]", 12),
            ("$.a[2]", 13),
            ("$.a[3]", 15),
            ("$.d", 16),
            ("$.a[1].missing.deep", 12),
        ] {
            assert_eq!(lines.find(path), line, "{path}");
        }
    }

    #[test]
    fn invalid_json_ends_the_scan() {
        for text in ["", "{", "[1,", "{\"a\" 1}", "\"", &"[".repeat(100_000)] {
            Lines::of_json(text, 1);
        }
        assert_eq!(Lines::of_json("{\"a\": 1,\n\"b\"", 1).find("$.b"), 1);
    }
}
