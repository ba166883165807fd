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

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny};

use crate::headers;

/// The filter state in which jwt-auth passes verified claims to other plugins.
pub(super) const PROPERTY: &str = "portcullis.jwt.claims";

/// The value of the claim at this path, as a key has it.
pub(super) fn value(claims: &[u8], path: &str) -> Option<String> {
    read(claims, path, &|scalar| scalar.text().into_owned())
}

/// The whole number that the claim at this path is: a number, or a text of digits. A number above 32 bits becomes
/// `u32::MAX`.
pub fn whole_number(claims: &[u8], path: &str) -> Option<u32> {
    read(claims, path, &|scalar| scalar.whole_number()).flatten()
}

/// Whether the text of the claim at this path passes a test; `None` if the claim is missing. A number or a boolean has the
/// text that JSON writes. Unlike in keys, a text that looks like one of these is no different.
pub(crate) fn test(claims: &[u8], path: &str, test: impl Fn(&str) -> bool) -> Option<bool> {
    read(claims, path, &|scalar| match scalar {
        Scalar::Text(text) => test(text),
        other => test(&other.text()),
    })
}

/// Reads the claim at this path; `None` if it is missing.
fn read<T>(claims: &[u8], path: &str, read: &impl Fn(Scalar<'_>) -> T) -> Option<T> {
    let mut json = serde_json::Deserializer::from_slice(claims);
    let find = Find {
        step: Step::Descend(path),
        read,
    };
    let value = find.deserialize(&mut json).ok()?;
    json.end().ok()?;
    value
}

/// The value of a claim.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Bool(bool),
    Whole(u64),
    Negative(i64),
    Number(f64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Bool(value) => value.to_string().into(),
            Self::Whole(value) => value.to_string().into(),
            Self::Negative(value) => value.to_string().into(),
            // -0 is 0.
            Self::Number(value) => (value + 0.0).to_string().into(),
            Self::Text(text) => match text.starts_with('"') || is_scalar(text) {
                true => serde_json::Value::from(text).to_string().into(),
                false => text.into(),
            },
        }
    }

    fn whole_number(self) -> Option<u32> {
        match self {
            Self::Bool(_) | Self::Negative(_) => None,
            Self::Whole(number) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
            // The conversion saturates.
            Self::Number(number) if number >= 0.0 && number.fract() == 0.0 => Some(number as u32),
            Self::Number(_) => None,
            Self::Text(text) => headers::whole_number(text.as_bytes()),
        }
    }
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
struct Find<'p, F> {
    step: Step<'p>,
    read: &'p F,
}

impl<'de, T, F: Fn(Scalar<'_>) -> T> DeserializeSeed<'de> for Find<'_, F> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self.step {
            Step::Skip => json.deserialize_ignored_any(IgnoredAny).map(|_| None),
            Step::Take | Step::Descend(_) => json.deserialize_any(self),
        }
    }
}

impl<T, F: Fn(Scalar<'_>) -> T> Find<'_, F> {
    fn scalar<E>(self, value: Scalar<'_>) -> Result<Option<T>, E> {
        Ok(match self.step {
            Step::Take => Some((self.read)(value)),
            Step::Descend(_) | Step::Skip => None,
        })
    }
}

impl<'de, T, F: Fn(Scalar<'_>) -> T> de::Visitor<'de> for Find<'_, F> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        self.scalar(Scalar::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        self.scalar(Scalar::Negative(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        self.scalar(Scalar::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self { step, read } = self;
        let Step::Descend(path) = step else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        let (mut whole, mut divided) = (None, None);
        while let Some(step) = members.next_key_seed(Member { path })? {
            let value = members.next_value_seed(Find { step, read })?;
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
