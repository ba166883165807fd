//! A claim of a token that jwt-auth has verified.
//!
//! # From jwt-auth to here
//!
//! Once jwt-auth has verified the token of a request, it sets the filter state
//! [`CLAIMS_PROPERTY`](super::CLAIMS_PROPERTY) to the claims set: a JSON object in UTF-8 without duplicate members.
//! Without a token, the filter state is not set. Clients cannot write it. Filters before jwt-auth could, as they can
//! change anything.
//!
//! # The value
//!
//! A claim is named by its path: `sub`, or `realm.tenant` for the member `tenant` of the object `realm`. A claim
//! whose own name contains dots (`https://shop.example/tenant`) is found under the whole name. If both exist, the
//! whole name wins.
//!
//! The value is the text, or the number or boolean as JSON writes it. A text that looks like a number or boolean,
//! or begins with a quote, is written with quotes, as in JSON: the text `"1"` and the number `1` are different
//! claims with different keys. Equal numbers have one key: `1.0` has that of `1`. Null, arrays and objects are not
//! values, and invalid JSON contains none: the part is missing.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny};

/// The filter state in which jwt-auth passes verified claims to other plugins.
pub(super) const PROPERTY: &str = "portcullis.jwt.claims";

/// The value of the claim at this path.
pub(super) fn value(claims: &[u8], path: &str) -> Option<String> {
    let mut json = serde_json::Deserializer::from_slice(claims);
    let value = Find(Step::Descend(path)).deserialize(&mut json).ok()?;
    json.end().ok()?;
    value
}

/// Whether a text looks like a number or a boolean of JSON.
fn is_scalar(text: &str) -> bool {
    use serde_json::Value;

    // No other text needs to be parsed.
    let may_be = text.starts_with(|first: char| first.is_ascii_digit() || "-tf".contains(first));
    let is_short = text.len() <= MAX_SCALAR;
    let value = || serde_json::from_str::<Value>(text);
    may_be && is_short && matches!(value(), Ok(Value::Number(_) | Value::Bool(_)))
}

/// The longest number that [`Find`] can write: the largest `f64` has 309 digits, the smallest 326 behind its
/// decimal point, with sign and digits.
const MAX_SCALAR: usize = 400;

/// How a member relates to the path of the claim.
#[derive(Clone, Copy)]
enum Step<'p> {
    /// The member is the claim.
    Take,
    /// The rest of the path may lead to the claim inside the member.
    Descend(&'p str),
    /// The member is not on the path.
    Skip,
}

/// Reads a value and keeps only the part that the path leads to.
#[derive(Clone, Copy)]
struct Find<'p>(Step<'p>);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            Step::Skip => json.deserialize_ignored_any(IgnoredAny).map(|_| None),
            Step::Take | Step::Descend(_) => json.deserialize_any(self),
        }
    }
}

impl Find<'_> {
    fn scalar<E>(self, value: impl fmt::Display) -> Result<Option<String>, E> {
        Ok(match self.0 {
            Step::Take => Some(value.to_string()),
            Step::Descend(_) | Step::Skip => None,
        })
    }
}

impl<'de> de::Visitor<'de> for Find<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        // -0 is 0.
        self.scalar(value + 0.0)
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        match value.starts_with('"') || is_scalar(value) {
            true => self.scalar(serde_json::Value::from(value)),
            false => self.scalar(value),
        }
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Step::Descend(path) = self.0 else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        let (mut whole, mut divided) = (None, None);
        while let Some(step) = members.next_key_seed(Member { path })? {
            let value = members.next_value_seed(Find(step))?;
            match step {
                Step::Take => whole = value,
                Step::Descend(_) => divided = value.or(divided),
                Step::Skip => {}
            }
        }
        Ok(whole.or(divided))
    }
}

/// Compares the name of a member with the path.
struct Member<'p> {
    path: &'p str,
}

impl<'de, 'p> DeserializeSeed<'de> for Member<'p> {
    type Value = Step<'p>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Step<'p>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'p> de::Visitor<'_> for Member<'p> {
    type Value = Step<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Step<'p>, E> {
        let rest = self.path.strip_prefix(name);
        Ok(match rest {
            Some("") => Step::Take,
            Some(rest) => rest.strip_prefix('.').map_or(Step::Skip, Step::Descend),
            None => Step::Skip,
        })
    }
}
