//! Configuration errors: the path, what was found there, and what is allowed.

use std::fmt;

/// One error in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    path: String,
    message: String,
}

impl Error {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// The JSON path of the offending value; `$` is the whole configuration.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was found there and what is allowed.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All errors in a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    pub(super) fn new(errors: Vec<Error>) -> Self {
        Self(errors)
    }

    /// These errors; `None` if there are none.
    pub(super) fn collect(errors: Vec<Error>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// These errors, followed by the others.
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The errors, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// One error a line.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// An error inside the deserializer, before it has a path. The innermost value that it passes through sets the
/// path.
#[derive(Debug)]
pub(super) struct Unplaced {
    pub(super) path: Option<String>,
    /// The offending member of the value at `path`.
    pub(super) member: Option<String>,
    pub(super) message: String,
    pub(super) scope: Scope,
}

/// How much of the document an error is about. This decides whether it may be a consequence of an earlier error.
#[derive(Debug)]
pub(super) enum Scope {
    /// One value, regardless of its contents. It is never a consequence.
    Value,
    /// A value with its contents. It may be a consequence of a part that was set aside.
    Whole,
    /// A missing member. It is a consequence if this member was set aside.
    Missing(&'static str),
}

impl Unplaced {
    fn new(message: String, scope: Scope) -> Self {
        Self {
            path: None,
            member: None,
            message,
            scope,
        }
    }

    pub(super) fn at(mut self, path: &str) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }
}

/// No message begins with this character.
const MEMBER: char = '\u{1}';

/// An error message of a `TryFrom` that is about one member of an object: the error is reported at that member
/// instead of the object. serde carries nothing but text, so the text contains the member between two marks.
pub fn at_member(member: &str, message: impl fmt::Display) -> String {
    format!("{MEMBER}{member}{MEMBER}{message}")
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unplaced {}

impl serde::de::Error for Unplaced {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let marked = text.strip_prefix(MEMBER);
        match marked.and_then(|rest| rest.split_once(MEMBER)) {
            Some((member, message)) => Self {
                member: Some(member.to_owned()),
                ..Self::new(message.to_owned(), Scope::Whole)
            },
            None => Self::new(text, Scope::Whole),
        }
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(mismatch(found, expected), Scope::Value)
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(mismatch(found, expected), Scope::Value)
    }

    fn unknown_field(_field: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown field; allowed: {}", allowed.join(", ")),
            Scope::Value,
        )
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(
            format!("found {found:?}; allowed: {}", allowed.join(", ")),
            Scope::Value,
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(
            format!("required field {field:?} is missing"),
            Scope::Missing(field),
        )
    }
}

fn mismatch(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> String {
    use serde::de::Unexpected;
    let found = match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        // With a decimal point: "found 1; expected a whole number" would be confusing for `1.0`.
        Unexpected::Float(value) => format!("{value:?}"),
        Unexpected::Str(value) => format!("{value:?}"),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    };
    format!("found {found}; expected {}", in_json_terms(expected))
}

/// The expected type in terms of JSON: serde names the Rust type.
fn in_json_terms(expected: &dyn serde::de::Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "an object".to_owned(),
            None => expected,
        },
    }
}
