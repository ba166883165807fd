//! YAML documents in which every value knows its line.
//!
//! Scalars stay text, because Envoy and Kubernetes disagree about which ones are numbers and booleans.

mod builder;
mod scalar;

use std::rc::Rc;

use portcullis_core::config::member_path;
use saphyr_parser::Parser;

use self::builder::Builder;
use self::scalar::{Scalar, Style, quoted};
use crate::lines::Lines;

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
    /// In the order of the text. A key may occur twice.
    Object(Rc<Vec<(Node, Node)>>),
}

/// A syntax error and its line.
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
    /// The member with this name, in the given snake case or in the camel case of protobuf's JSON.
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

    /// Whether the value is null.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.is_null(),
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

    /// The line of the first line of the text, if each line of the text is a line of the file.
    pub(crate) fn first_line_of_text(&self) -> Option<usize> {
        match &self.value {
            Value::Scalar(scalar) => (scalar.style == Style::Literal).then_some(self.line),
            _ => None,
        }
    }

    /// Converts the value to JSON as Kubernetes does. Also returns the lines of its parts.
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
