//! YAML documents in which every value knows its line.
//!
//! Scalars stay text: Envoy and Kubernetes disagree about which ones are numbers and booleans.

use std::fmt::Write as _;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use portcullis_core::config::member_path;

use crate::lines::Lines;

/// More values than any real configuration has; aliases of aliases grow without end.
const MAX_VALUES: usize = 1_000_000;
const MAX_DEPTH: usize = 200;

/// A value and the line where it begins, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Array(Rc<Vec<Node>>),
    /// In the order of the text; a key may be there twice.
    Object(Rc<Vec<(Node, Node)>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    /// Always a string.
    Quoted,
    /// `|`: each line of the content is a line of the file.
    Literal,
}

/// What is wrong with a text, and in which line.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// The documents of a text. Aliases and merge keys (`<<`) are resolved.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| SyntaxError {
            line: error.marker().line(),
            message: format!("not valid YAML: {}", error.info()),
        })?;
        builder.add(event, span.start.line())?;
    }
    Ok(builder.documents)
}

impl Node {
    /// The member with this name, in snake case as given or in the camel case of protobuf's JSON.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let Value::Object(members) = &self.value else {
            return None;
        };
        let named = |wanted: &str| {
            let found = members.iter().find(|(key, _)| key.text() == Some(wanted));
            found.map(|(_, value)| value)
        };
        named(name).or_else(|| named(&camel_case(name)))
    }

    /// The value at the end of these members.
    pub(crate) fn at(&self, names: &[&str]) -> Option<&Node> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of a member.
    pub(crate) fn text_at(&self, names: &[&str]) -> Option<&str> {
        self.at(names)?.text()
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => {
                scalar.style == Style::Plain && is_any(&scalar.text, &["", "~", "null"])
            }
            _ => false,
        }
    }

    /// The values of an array, or of an object.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match &self.value {
            Value::Scalar(_) => Box::new(std::iter::empty()),
            Value::Array(items) => Box::new(items.iter()),
            Value::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
        }
    }

    /// The line of the text's first line, if the text's lines are lines of the file.
    pub(crate) fn first_line_of_text(&self) -> Option<usize> {
        match &self.value {
            Value::Scalar(scalar) => (scalar.style == Style::Literal).then_some(self.line),
            _ => None,
        }
    }

    /// The JSON that Kubernetes makes of this value, with the lines of its parts.
    pub(crate) fn to_json(&self) -> (String, Lines) {
        let (mut json, mut lines) = (String::new(), Lines::at(self.line));
        self.write_json("$", &mut json, &mut lines);
        (json, lines)
    }

    fn write_json(&self, path: &str, json: &mut String, lines: &mut Lines) {
        match &self.value {
            Value::Scalar(scalar) => json.push_str(&scalar.to_json()),
            Value::Array(items) => {
                json.push('[');
                for (i, item) in items.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    json.push_str(if i > 0 { "," } else { "" });
                    lines.insert(&path, item.line);
                    item.write_json(&path, json, lines);
                }
                json.push(']');
            }
            Value::Object(members) => {
                json.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    let name = key.text().unwrap_or_default();
                    let path = member_path(path, name);
                    json.push_str(if i > 0 { "," } else { "" });
                    lines.insert(&path, key.line);
                    json.push_str(&quoted(name));
                    json.push(':');
                    value.write_json(&path, json, lines);
                }
                json.push('}');
            }
        }
    }
}

impl Scalar {
    /// As Kubernetes reads it, by the rules of YAML 1.1: `off` is false.
    fn to_json(&self) -> String {
        let text = &*self.text;
        if self.style != Style::Plain {
            return quoted(text);
        }
        if is_any(text, &["", "~", "null"]) {
            return "null".to_owned();
        }
        if is_any(text, &["true", "yes", "on", "y"]) {
            return "true".to_owned();
        }
        if is_any(text, &["false", "no", "off", "n"]) {
            return "false".to_owned();
        }
        number(text).unwrap_or_else(|| quoted(text))
    }
}

/// Whether a plain scalar is one of these words: in lower case, in capitals, or with one capital.
fn is_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let is_first_alone = text.chars().skip(1).all(|c| !c.is_uppercase());
        let is_capital = text.chars().all(|c| !c.is_lowercase());
        text.eq_ignore_ascii_case(word) && (is_first_alone || is_capital)
    })
}

/// A number as JSON. One without a fraction is written as a whole one, as Go does.
fn number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits = unsigned.replace('_', "");
    let with_radix = |prefixes: &[&str], radix| {
        let rest = prefixes.iter().find_map(|it| digits.strip_prefix(it))?;
        u64::from_str_radix(rest, radix).ok()
    };
    let whole = with_radix(&["0x"], 16)
        .or_else(|| with_radix(&["0b"], 2))
        .or_else(|| with_radix(&["0o", "0"], 8))
        .or_else(|| digits.parse().ok());
    if let Some(whole) = whole {
        return Some(format!("{sign}{whole}"));
    }
    let is_number = unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value: f64 = is_number.then(|| text.parse().ok()).flatten()?;
    value.is_finite().then(|| format!("{value}"))
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// Makes documents of the parser's events.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    /// Values with an anchor, each with how many values it has.
    anchors: Vec<(usize, Node, usize)>,
    values: usize,
}

/// An array or an object whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    is_object: bool,
    items: Vec<Node>,
    /// How many values there were before it.
    values_before: usize,
}

impl Builder {
    fn add(&mut self, event: Event<'_>, line: usize) -> Result<(), SyntaxError> {
        let error = |message: &str| {
            let message = message.to_owned();
            Err(SyntaxError { line, message })
        };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::Literal => Style::Literal,
                    _ => Style::Quoted,
                };
                // The parser says where the first line that is not blank begins.
                let blank = text.bytes().take_while(|byte| *byte == b'\n').count();
                let line = match style {
                    Style::Literal => line.saturating_sub(blank),
                    _ => line,
                };
                let text = Rc::from(&*text);
                let value = Value::Scalar(Scalar { text, style });
                self.values += 1;
                self.finish(Node { line, value }, anchor, 1);
            }
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(it, ..)| *it == anchor);
                let Some((_, node, values)) = found.cloned() else {
                    return error("not valid YAML: an alias within what it stands for");
                };
                self.values += values;
                self.finish(node, 0, values);
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if self.open.len() >= MAX_DEPTH {
                    return error("nested too deep");
                }
                self.values += 1;
                self.open.push(Open {
                    line,
                    anchor,
                    is_object: matches!(event, Event::MappingStart(..)),
                    items: Vec::new(),
                    values_before: self.values,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let values = self.values.saturating_sub(open.values_before) + 1;
                    let value = match open.is_object {
                        false => Value::Array(Rc::new(open.items)),
                        true => Value::Object(Rc::new(members(open.items))),
                    };
                    let line = open.line;
                    self.finish(Node { line, value }, open.anchor, values);
                }
            }
            _ => {}
        }
        match self.values > MAX_VALUES {
            true => error("too many values: aliases of aliases"),
            false => Ok(()),
        }
    }

    fn finish(&mut self, node: Node, anchor: usize, values: usize) {
        if anchor > 0 {
            self.anchors.push((anchor, node.clone(), values));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.documents.push(node),
        }
    }
}

/// Keys and values in turn. What a merge key brings counts only where the object has no such key.
fn members(items: Vec<Node>) -> Vec<(Node, Node)> {
    let (mut members, mut merged) = (Vec::new(), Vec::new());
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        if key.text() != Some("<<") {
            members.push((key, value));
            continue;
        }
        let sources = match &value.value {
            Value::Array(sources) => sources.to_vec(),
            _ => vec![value],
        };
        for source in sources {
            if let Value::Object(source) = source.value {
                merged.extend(source.iter().cloned());
            }
        }
    }
    for (key, value) in merged {
        if !members
            .iter()
            .any(|(other, _): &(Node, Node)| other.text() == key.text())
        {
            members.push((key, value));
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut documents = documents(text).unwrap();
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    fn json(text: &str) -> String {
        one(text).to_json().0
    }

    #[test]
    fn values_know_their_lines() {
        let document = one("a: 1\nb:\n  - x\n  - c: |\n      first\n      second\n    d: 'q'\n");
        let (_, lines) = document.to_json();
        assert_eq!(lines.find("$.a"), 1);
        assert_eq!(lines.find("$.b"), 2);
        assert_eq!(lines.find("$.b[0]"), 3);
        assert_eq!(lines.find("$.b[1].d"), 7);
        let late = one("a: |2  # why\n\n\n    x\nb: |\n\n  y");
        assert_eq!(late.text_at(&["a"]), Some("\n\n  x\n"));
        assert_eq!(late.get("a").unwrap().first_line_of_text(), Some(2));
        assert_eq!(late.get("b").unwrap().first_line_of_text(), Some(6));
        let block = document.get("b").unwrap().children().nth(1).unwrap();
        assert_eq!(block.get("c").unwrap().first_line_of_text(), Some(5));
        assert_eq!(block.get("d").unwrap().first_line_of_text(), None);
    }

    #[test]
    fn scalars_are_what_kubernetes_makes_of_them() {
        for (yaml, expected) in [
            ("off", "false"),
            ("Yes", "true"),
            ("ON", "true"),
            ("oFF", "\"oFF\""),
            ("'off'", "\"off\""),
            ("~", "null"),
            ("1_000", "1000"),
            ("-7", "-7"),
            ("0x1F", "31"),
            ("010", "8"),
            ("50.0", "50"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("1m", "\"1m\""),
            ("0.1.0", "\"0.1.0\""),
            ("e5", "\"e5\""),
            ("_1", "\"_1\""),
            ("2026-01", "\"2026-01\""),
            ("{}", "{}"),
        ] {
            let found = json(&format!("a: {yaml}"));
            assert_eq!(found, format!("{{\"a\":{expected}}}"), "{yaml}");
        }
        assert_eq!(
            json("a: |\n  x\n  \"y\"\n"),
            r#"{"a":"x\u000a\"y\"\u000a"}"#
        );
        assert_eq!(json("{a: 1, a: 2}"), r#"{"a":1,"a":2}"#);
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        assert_eq!(
            json("[&x {a: 1, b: 2}, *x, {<<: *x, a: 3}]"),
            r#"[{"a":1,"b":2},{"a":1,"b":2},{"a":3,"b":2}]"#
        );
    }

    #[test]
    fn members_are_found_in_both_cases_of_protobuf() {
        let document = one("vmConfig: {vm_id: x}");
        assert_eq!(document.text_at(&["vm_config", "vm_id"]), Some("x"));
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        assert_eq!(documents("a: 1\nb: [\n").unwrap_err().line, 3);
        assert!(documents(&"[".repeat(1000)).is_err());
        let mut bomb = "a0: &a0 x\n".to_owned();
        for i in 1..10 {
            let items = format!("*a{}, ", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
        }
        assert!(documents(&bomb).is_err());
    }
}
