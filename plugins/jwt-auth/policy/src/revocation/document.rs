//! The JSON of a revocation list. The [module](super) describes it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use crate::remote::MAX_BODY;
use portcullis_core::time::UnixSeconds;

/// The length of a line of the log; a message may quote text of any length from the document.
const MAX_MESSAGE: usize = 200;

/// Why a document is not a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a revocation list: {}", self.0)
    }
}

impl std::error::Error for ParseError {}

pub(super) fn parse(text: &[u8]) -> Result<Vec<ListedToken<'_>>, ParseError> {
    if text.len() > MAX_BODY {
        return Err(ParseError(format!(
            "found {} bytes; expected at most {MAX_BODY}",
            text.len()
        )));
    }
    let document: ObjectOnly<Document<'_>> = serde_json::from_slice(text)
        .map_err(|error| ParseError(error.to_string().chars().take(MAX_MESSAGE).collect()))?;
    let entries = document.0.revoked.into_iter();
    Ok(entries.map(|ObjectOnly(entry)| entry).collect())
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    revoked: Vec<ObjectOnly<ListedToken<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct ListedToken<'a> {
    #[serde(borrow, deserialize_with = "not_empty")]
    pub(super) iss: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "not_empty")]
    pub(super) jti: Cow<'a, str>,
    #[serde(default, deserialize_with = "numeric_date")]
    pub(super) exp: Option<UnixSeconds>,
}

/// A JSON object. A derived `Deserialize` also accepts an array of the values of its fields.
struct ObjectOnly<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ObjectOnly<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Visitor(PhantomData)).map(Self)
    }
}

/// Reads a string of at least one character.
pub(super) fn not_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<Cow<'de, str>>,
{
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let Text(text) = Text::deserialize(deserializer)?;
    match text.is_empty() {
        false => Ok(text.into()),
        true => Err(de::Error::invalid_value(
            de::Unexpected::Str(""),
            &"a string that is not empty",
        )),
    }
}

/// Reads seconds since the Unix epoch, rounded up. A negative time becomes 0, at which the token has expired, too.
fn numeric_date<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<UnixSeconds>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.map(|number| {
        let seconds = number.as_f64().unwrap_or(0.0).ceil();
        // The conversion saturates at the bounds of the integers.
        UnixSeconds::new(number.as_u64().unwrap_or(seconds as u64))
    }))
}
