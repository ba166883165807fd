//! A JSON document in which every value knows its path.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned};

use super::error::{Error, Errors, Scope, Unplaced};

/// Enough to fix a configuration in one pass. A document with more errors has a deeper problem than typos.
const MAX_ERRORS: usize = 50;

/// A parsed JSON document, ready to be read as a configuration.
#[derive(Debug)]
pub struct Document {
    root: Node,
    errors: Vec<Error>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) value: Value,
    /// An error was reported here. Reading continues as if this value did not exist.
    pub(super) set_aside: bool,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Document {
    /// Parses JSON text. Empty text counts as `{}`.
    ///
    /// A `google.protobuf.Struct` reaches a plugin as raw protobuf. `parse` recognises it, and the error says
    /// what to write instead.
    pub fn parse(text: &[u8]) -> Result<Self, Errors> {
        let text = if text.is_empty() { b"{}" } else { text };
        let raw: Raw = serde_json::from_slice(text).map_err(|error| syntax_error(text, &error))?;
        let mut errors = Vec::new();
        let root = raw.place("$".to_owned(), &mut errors);
        Ok(Self { root, errors })
    }

    /// Removes the member `name` from the document and returns it as a document of its own, together with the
    /// errors found inside it.
    pub fn take(&mut self, name: &str) -> Option<Document> {
        let Value::Object(members) = &mut self.root.value else {
            return None;
        };
        let at = members.iter().position(|(member, _)| member == name)?;
        let (_, root) = members.remove(at);
        let (inside, outside) = std::mem::take(&mut self.errors)
            .into_iter()
            .partition(|error| is_within(error.path(), &root.path));
        self.errors = outside;
        Some(Document {
            root,
            errors: inside,
        })
    }

    /// Refuses an object without any member; `allowed` are the names of the members that it may have.
    pub fn refuse_empty(&self, allowed: &[&str]) -> Result<(), Errors> {
        let is_empty = matches!(&self.root.value, Value::Object(members) if members.is_empty());
        match is_empty {
            true => {
                let message = format!("no member; expected at least one of {}", allowed.join(", "));
                Err(Error::new(&self.root.path, message).into())
            }
            false => Ok(()),
        }
    }

    /// Reports every member that is still in the document as unknown. `allowed` lists the names of the members
    /// that it may have.
    pub fn finish(mut self, allowed: &[&str]) -> Result<(), Errors> {
        match &self.root.value {
            Value::Object(members) => {
                let allowed = allowed.join(", ");
                self.errors.extend(members.iter().map(|(_, node)| {
                    Error::new(&node.path, format!("unknown field; allowed: {allowed}"))
                }));
            }
            _ => self
                .errors
                .push(Error::new(&self.root.path, "expected an object")),
        }
        match Errors::collect(self.errors) {
            Some(errors) => Err(errors),
            None => Ok(()),
        }
    }

    /// Reads the document as a `T`, or reports every error in it.
    pub fn read<T: DeserializeOwned>(mut self) -> Result<T, Errors> {
        let mut set_aside: Vec<String> = Vec::new();
        while self.errors.len() < MAX_ERRORS {
            let error = match T::deserialize(&self.root) {
                Ok(value) if self.errors.is_empty() => return Ok(value),
                Ok(_) => return Err(Errors::new(self.errors)),
                Err(error) => error,
            };
            let path = error.path.as_ref().unwrap_or(&self.root.path).clone();
            let place = match &error.member {
                Some(member) => member_path(&path, member),
                None => path.clone(),
            };
            if !is_consequence(&error, &path, &set_aside) {
                self.errors.push(Error::new(&place, error.message));
            }
            // The offending member may be a missing one. Then the whole object is set aside.
            let aside = [place, path]
                .into_iter()
                .find(|path| self.root.set_aside(path));
            match aside {
                Some(path) => set_aside.push(path),
                None => return Err(Errors::new(self.errors)),
            }
        }
        self.errors.push(Error::new(
            &self.root.path,
            format!("{MAX_ERRORS} errors or more; these are the first"),
        ));
        Err(Errors::new(self.errors))
    }
}

impl Document {
    /// Like [`read`](Self::read), for a `T` whose members must also be consistent with each other. `check` returns
    /// the path of the offending value, such as `limits[0].name`, with what was found and what is allowed.
    pub fn read_checked<T: DeserializeOwned>(
        self,
        check: impl FnOnce(&T) -> Result<(), (String, String)>,
    ) -> Result<T, Errors> {
        let path = self.root.path.clone();
        let value = self.read()?;
        match check(&value) {
            Ok(()) => Ok(value),
            Err((value, message)) => Err(Error::new(format!("{path}.{value}"), message).into()),
        }
    }
}

impl Node {
    /// Sets the value at `path` aside. Returns false if `path` is this node itself or does not exist: then nothing
    /// is left to read.
    fn set_aside(&mut self, path: &str) -> bool {
        let child = match &mut self.value {
            Value::Array(items) => items.iter_mut().find(|item| is_within(path, &item.path)),
            Value::Object(members) => members
                .iter_mut()
                .map(|(_, node)| node)
                .find(|node| is_within(path, &node.path)),
            _ => None,
        };
        match child {
            Some(child) if child.path == path => {
                let news = !child.set_aside;
                child.set_aside = true;
                news
            }
            Some(child) => child.set_aside(path),
            None => false,
        }
    }
}

/// Whether an error at `path` may exist only because something was set aside.
fn is_consequence(error: &Unplaced, path: &str, set_aside: &[String]) -> bool {
    match error.scope {
        Scope::Value => false,
        Scope::Whole => set_aside.iter().any(|inner| is_within(inner, path)),
        Scope::Missing(field) => set_aside.contains(&member_path(path, field)),
    }
}

/// Whether `path` is `outer` or something inside it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn syntax_error(text: &[u8], error: &serde_json::Error) -> Errors {
    // A Struct with at least one field starts with the tag of field 1, which is a line feed, and contains the tag
    // of that field's value, a byte that JSON does not contain.
    let is_struct = text.first() == Some(&0x0a) && text.contains(&0x12);
    let message = if is_struct {
        "found protobuf, not JSON: the configuration was given as a google.protobuf.Struct, which \
         Envoy does not convert; use \"@type\": type.googleapis.com/google.protobuf.StringValue \
         with the JSON text as its value"
            .to_owned()
    } else {
        format!("not valid JSON: {error}")
    };
    Error::new("$", message).into()
}

/// A parsed JSON value whose parts have no paths yet.
enum Raw {
    Leaf(Value),
    Array(Vec<Raw>),
    Object(Vec<(String, Raw)>),
}

impl Raw {
    fn place(self, path: String, errors: &mut Vec<Error>) -> Node {
        let value = match self {
            Raw::Leaf(value) => value,
            Raw::Array(items) => Value::Array(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(i, item)| item.place(format!("{path}[{i}]"), errors))
                    .collect(),
            ),
            Raw::Object(members) => {
                let mut placed: Vec<(String, Node)> = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let member_path = member_path(&path, &name);
                    if placed.iter().any(|(other, _)| *other == name) {
                        let error = Error::new(&member_path, "given twice; allowed: once");
                        if errors.len() < MAX_ERRORS && !errors.contains(&error) {
                            errors.push(error);
                        }
                        continue;
                    }
                    let node = member.place(member_path, errors);
                    placed.push((name, node));
                }
                Value::Object(placed)
            }
        };
        Node {
            path,
            value,
            set_aside: false,
        }
    }
}

/// The path of a member: `$.a.b` for plain names, `$["a b"]` for others.
pub fn member_path(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain {
        format!("{path}.{name}")
    } else {
        format!("{path}[{name:?}]")
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::Bool(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::Unsigned(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::Signed(value)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::Float(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Leaf(Value::String(value.to_owned())))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::Array(items))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Raw::Object(members))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
