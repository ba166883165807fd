//! Deserializes a [`Document`](super::Document) with serde. Each value adds its path to errors.

use serde::de::{self, IntoDeserializer, Visitor};

use super::document::{Node, Value, member_path};
use super::error::Unplaced;

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Unplaced;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unplaced> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Array(items) => visitor.visit_seq(Items(items.iter())),
            Value::Object(members) => visitor.visit_map(Members {
                object: &self.path,
                rest: members.iter(),
                value: None,
            }),
        }
        .map_err(|error| error.at(&self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unplaced> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|error| error.at(&self.path))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unplaced> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|error| error.at(&self.path))
    }

    /// serde would accept an array of the fields' values, and its error would not name the fields.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unplaced> {
        match &self.value {
            Value::Object(_) => self.deserialize_any(visitor),
            other => {
                let expected = format!("an object with the fields: {}", fields.join(", "));
                let error: Unplaced =
                    de::Error::invalid_type(other.unexpected(), &expected.as_str());
                Err(error.at(&self.path))
            }
        }
    }

    /// An enum is a string (`"off"`) or an object with one member (`{"prefix": "/api/"}`).
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unplaced> {
        let one_of = || variants.join(", ");
        let (variant, content) = match &self.value {
            Value::String(variant) => (variant, None),
            Value::Object(members) => {
                let mut members = members.iter().filter(|(_, node)| !node.set_aside);
                match (members.next(), members.next()) {
                    (Some((variant, content)), None) => (variant, Some(content)),
                    (None, _) => {
                        return Err(de::Error::custom(format!(
                            "found an object without members; expected exactly one of: {}",
                            one_of()
                        )));
                    }
                    (Some((a, _)), Some((b, _))) => {
                        return Err(de::Error::custom(format!(
                            "found {a:?} and {b:?}; expected exactly one of: {}",
                            one_of()
                        )));
                    }
                }
            }
            other => {
                return Err(de::Error::invalid_type(
                    other.unexpected(),
                    &format!("one of: {}", one_of()).as_str(),
                ));
            }
        };
        visitor
            .visit_enum(EnumContent { variant, content })
            .map_err(|error: Unplaced| {
                let path = match content {
                    Some(content) => &content.path,
                    None => &self.path,
                };
                error.at(path)
            })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl Value {
    fn unexpected(&self) -> de::Unexpected<'_> {
        match self {
            Value::Null => de::Unexpected::Unit,
            Value::Bool(value) => de::Unexpected::Bool(*value),
            Value::Unsigned(value) => de::Unexpected::Unsigned(*value),
            Value::Signed(value) => de::Unexpected::Signed(*value),
            Value::Float(value) => de::Unexpected::Float(*value),
            Value::String(value) => de::Unexpected::Str(value),
            Value::Array(_) => de::Unexpected::Seq,
            Value::Object(_) => de::Unexpected::Map,
        }
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Unplaced;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unplaced> {
        self.0
            .find(|item| !item.set_aside)
            .map(|item| seed.deserialize(item).map_err(|error| error.at(&item.path)))
            .transpose()
    }
}

struct Members<'de> {
    object: &'de str,
    rest: std::slice::Iter<'de, (String, Node)>,
    value: Option<&'de Node>,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = Unplaced;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unplaced> {
        let Some((name, node)) = self.rest.find(|(_, node)| !node.set_aside) else {
            return Ok(None);
        };
        self.value = Some(node);
        seed.deserialize(name.as_str().into_deserializer())
            .map(Some)
            .map_err(|error: Unplaced| error.at(&member_path(self.object, name)))
    }

    fn next_value_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, Unplaced> {
        let node = self
            .value
            .take()
            .ok_or_else(|| <Unplaced as de::Error>::custom("a value was read before its key"))?;
        seed.deserialize(node).map_err(|error| error.at(&node.path))
    }
}

struct EnumContent<'de> {
    variant: &'de str,
    content: Option<&'de Node>,
}

impl<'de> de::EnumAccess<'de> for EnumContent<'de> {
    type Error = Unplaced;
    type Variant = Self;

    fn variant_seed<T: de::DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self), Unplaced> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> EnumContent<'de> {
    /// The content of `{"variant": content}`.
    fn content(&self) -> Result<&'de Node, Unplaced> {
        self.content.ok_or_else(|| {
            de::Error::custom(format!(
                "found {:?}; expected an object {{{:?}: …}}",
                self.variant, self.variant
            ))
        })
    }
}

impl<'de> de::VariantAccess<'de> for EnumContent<'de> {
    type Error = Unplaced;

    fn unit_variant(self) -> Result<(), Unplaced> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format!(
                "found an object; expected just {:?}",
                self.variant
            ))),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Unplaced> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Unplaced> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unplaced> {
        de::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}
