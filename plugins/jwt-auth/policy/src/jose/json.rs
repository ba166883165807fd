//! Strict JSON objects: any two readers see the same content.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer};
use serde_json::{Map, Value};

/// The deepest nesting of arrays and objects. Claims of real tokens are 3 or 4 levels deep.
pub const MAX_DEPTH: usize = 32;

/// A JSON object without duplicate names, at any depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Map<String, Value>);

/// The reason why a text is not a strict JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON, not UTF-8, or continues after the value.
    Syntax,
    /// It is JSON, but not an object.
    NotAnObject,
    /// An object in it has a duplicate name. Readers differ in which value they take, so one of them could see content
    /// that another never checked.
    DuplicateMember,
    /// It nests deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl Object {
    /// Reads an object.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let fault = Cell::new(JsonError::Syntax);
        let strict = Strict {
            depth: 0,
            fault: &fault,
        };
        let mut json = serde_json::Deserializer::from_slice(text);
        let value = strict
            .deserialize(&mut json)
            .and_then(|value| json.end().map(|()| value))
            .map_err(|_| fault.get())?;
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// The value of a member; `None` for `null`, which serialisers write for absent members.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The value at a path: `sub`, or `realm.tenant` for the member `tenant` of the object `realm`.
    ///
    /// A name may contain dots (`https://shop.example/tenant`): of several readings of a path, the one with the longest
    /// first name wins.
    pub fn at(&self, path: &str) -> Option<&Value> {
        at(&self.0, path)
    }

    /// All members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn at<'v>(members: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = members.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| {
        let (name, rest) = path.split_at_checked(dot)?;
        let inner = members.get(name)?.as_object()?;
        at(inner, rest.strip_prefix('.')?)
    })
}

/// Reads any value, and stores the reason of a failure.
#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: usize,
    fault: &'f Cell<JsonError>,
}

impl Strict<'_> {
    fn fail<E: de::Error>(self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom("")
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(JsonError::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(self.fail(JsonError::DuplicateMember));
            }
        }
        Ok(Value::Object(members))
    }
}
