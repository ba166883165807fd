//! Conditions on a path or on the value of a header.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::regex::Regex;
use crate::readings::Fit;
use crate::readings::path::{CanonicalPath, Paths, without_final_slash};

/// A condition on a text.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(String),
    Prefix(String),
    Regex(Regex),
}

impl Pattern {
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Exact(exact) => text == exact.as_bytes(),
            Pattern::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            Pattern::Regex(regex) => regex.matches(text),
        }
    }
}

/// A condition on the path of a request: exactly one of `exact`, `prefix` and `regex`.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "PathFields")
)]
pub(super) struct PathPattern {
    pattern: Pattern,
    /// The regular expression, if there is one, ignoring letter case.
    loose: Option<Regex>,
}

impl PathPattern {
    /// Certain if every variant matches exactly; possible if some variant matches when letter case and a trailing
    /// slash are ignored.
    pub(super) fn fit(&self, paths: &Paths<'_>) -> Fit {
        if let Some(path) = paths.only() {
            return match self.pattern.matches(path) {
                true => Fit::Certain,
                false if self.matches_loosely(path) => Fit::Possible,
                false => Fit::No,
            };
        }
        if paths.has_too_many() {
            return Fit::Possible;
        }
        if paths.iter().all(|path| self.pattern.matches(path)) {
            Fit::Certain
        } else if paths.iter().any(|path| self.matches_loosely(path)) {
            Fit::Possible
        } else {
            Fit::No
        }
    }

    /// Whether the other pattern names a path that this one matches only loosely: then the user distinguishes the
    /// two on purpose.
    pub(super) fn is_told_apart_by(&self, other: &Self) -> bool {
        let text = match &other.pattern {
            Pattern::Exact(text) | Pattern::Prefix(text) => text.as_bytes(),
            Pattern::Regex(_) => return false,
        };
        !self.pattern.matches(text) && self.matches_loosely(text)
    }

    fn matches_loosely(&self, path: &[u8]) -> bool {
        let path = without_final_slash(path);
        match &self.pattern {
            Pattern::Exact(exact) => {
                path.eq_ignore_ascii_case(without_final_slash(exact.as_bytes()))
            }
            Pattern::Prefix(prefix) => {
                let prefix = prefix.as_bytes();
                let start = path.get(..prefix.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                    || path.eq_ignore_ascii_case(without_final_slash(prefix))
            }
            Pattern::Regex(_) => self
                .loose
                .as_ref()
                .is_some_and(|regex| regex.matches_with_or_without_slash(path)),
        }
    }
}

/// Condition on the path without the query; exactly one member. Write paths in canonical form: plain characters,
/// never percent-encoded, without `.`, `..` and empty segments.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1, "maxProperties" = 1))
)]
#[serde(deny_unknown_fields)]
pub(super) struct PathFields {
    /// The path is equal to this text.
    exact: Option<ExactPath>,
    /// The path starts with this text.
    prefix: Option<PathPrefix>,
    /// The whole path matches this regular expression.
    regex: Option<Regex>,
}

/// Not derived: people often write a bare string, so the error shows the expected object.
impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PathPattern;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an object with exactly one of exact, prefix, regex, such as {\"prefix\": \"/api/\"}",
                )
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<PathPattern, A::Error> {
                let members = de::value::MapAccessDeserializer::new(members);
                let fields = PathFields::deserialize(members)?;
                PathPattern::try_from(fields).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

impl TryFrom<PathFields> for PathPattern {
    type Error = String;

    fn try_from(fields: PathFields) -> Result<Self, String> {
        let given = [
            ("exact", fields.exact.is_some()),
            ("prefix", fields.prefix.is_some()),
            ("regex", fields.regex.is_some()),
        ];
        let (pattern, loose) = match (fields.exact, fields.prefix, fields.regex) {
            (Some(exact), None, None) => (Pattern::Exact(exact.0), None),
            (None, Some(prefix), None) => (Pattern::Prefix(prefix.0), None),
            (None, None, Some(regex)) => {
                let loose = regex.ignoring_case()?;
                (Pattern::Regex(regex), Some(loose))
            }
            _ => return Err(not_exactly_one(&given)),
        };
        Ok(Self { pattern, loose })
    }
}

/// The error for an object that must have exactly one of these members, each with whether it was given.
pub fn not_exactly_one(members: &[(&str, bool)]) -> String {
    let names = |wanted: &dyn Fn(bool) -> bool| {
        let names = members.iter().filter(|(_, given)| wanted(*given));
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let found = match names(&|given| given) {
        none if none.is_empty() => "none".to_owned(),
        some => some,
    };
    let all = names(&|_| true);
    format!("found {found}; expected exactly one of: {all}")
}

/// A path in canonical form.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline, extend("pattern" = "^/"))
)]
#[serde(try_from = "String")]
struct ExactPath(String);

/// A prefix of a path in canonical form.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline, extend("pattern" = "^/"))
)]
#[serde(try_from = "String")]
struct PathPrefix(String);

impl TryFrom<String> for ExactPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        expect_canonical(&text, &text)?;
        Ok(Self(text))
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A prefix may end within a segment: `/.` is not canonical, but `/.git` is.
        expect_canonical(&text, &format!("{text}x"))?;
        Ok(Self(text))
    }
}

/// Refuses a text if `path`, which starts with it, is not canonical: no request could match.
fn expect_canonical(text: &str, path: &str) -> Result<(), String> {
    let canonical = |path| CanonicalPath::new(str::as_bytes(path));
    match canonical(text) {
        None => Err(format!(
            "found {text:?}; expected a path that starts with \"/\""
        )),
        Some(_) if canonical(path).is_some_and(|own| own.as_bytes() == path.as_bytes()) => Ok(()),
        Some(own) => Err(format!(
            "found {text:?}; expected the canonical form, which is {:?}: paths are compared in it",
            String::from_utf8_lossy(own.as_bytes())
        )),
    }
}
