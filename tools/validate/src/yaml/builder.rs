//! Builds documents from the events of the parser.

use std::rc::Rc;

use saphyr_parser::{Event, ScalarStyle};

use super::scalar::{Scalar, Style};
use super::{Node, SyntaxError, Value};

/// More values than any real configuration has. The bound stops aliases of aliases, which grow exponentially.
const MAX_VALUES: usize = 1_000_000;
const MAX_DEPTH: usize = 200;

/// Builds documents from the events of the parser.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) documents: Vec<Node>,
    open: Vec<Open>,
    /// Values with an anchor, each with the number of values in it.
    anchors: Vec<(usize, Node, usize)>,
    values: usize,
}

/// An array or an object whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    is_object: bool,
    items: Vec<Node>,
    /// The number of values before it.
    values_before: usize,
}

impl Builder {
    pub(super) fn add(&mut self, event: Event<'_>, line: usize) -> Result<(), SyntaxError> {
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
                // The parser reports the first line that is not blank.
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

/// Pairs keys and values. A member from a merge key counts only if the object does not have that key itself.
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
