//! What a path or the value of a header has to be.

use serde::Deserialize;

use super::path::CanonicalPath;
use super::regex::Regex;

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

/// A condition on a canonical path: exactly one of `exact`, `prefix` and `regex`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "PathFields")
)]
#[serde(try_from = "PathFields")]
pub(super) struct PathPattern(Pattern);

impl PathPattern {
    pub(super) fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        self.0.matches(path.as_bytes())
    }
}

/// The path, without the query, in canonical form. Exactly one member.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1, "maxProperties" = 1))
)]
#[serde(deny_unknown_fields)]
pub(super) struct PathFields {
    /// The path is this one.
    exact: Option<ExactPath>,
    /// The path starts with this text.
    prefix: Option<PathPrefix>,
    /// The whole path fits this regular expression.
    regex: Option<Regex>,
}

impl TryFrom<PathFields> for PathPattern {
    type Error = String;

    fn try_from(fields: PathFields) -> Result<Self, String> {
        let given = [
            ("exact", fields.exact.is_some()),
            ("prefix", fields.prefix.is_some()),
            ("regex", fields.regex.is_some()),
        ];
        let pattern = match (fields.exact, fields.prefix, fields.regex) {
            (Some(exact), None, None) => Pattern::Exact(exact.0),
            (None, Some(prefix), None) => Pattern::Prefix(prefix.0),
            (None, None, Some(regex)) => Pattern::Regex(regex),
            _ => return Err(not_exactly_one(&given)),
        };
        Ok(Self(pattern))
    }
}

/// What to say when of these members, each with whether it was given, not exactly one was.
pub(crate) fn not_exactly_one(members: &[(&str, bool)]) -> String {
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

/// A text that is a canonical path.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline, extend("pattern" = "^/"))
)]
#[serde(try_from = "String")]
struct ExactPath(String);

/// A text that a canonical path can start with.
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
        // A prefix may end within a segment: `/.` is no canonical path, but `/.git` is one.
        expect_canonical(&text, &format!("{text}x"))?;
        Ok(Self(text))
    }
}

/// Refuses a text because of `path`, that starts with it: no request would ever fit.
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
