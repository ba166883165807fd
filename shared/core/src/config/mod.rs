//! Reading a plugin's JSON configuration, and saying what is wrong with it.
//!
//! Configuration types derive [`serde::Deserialize`] and check themselves while they are read: a
//! type such as [`Duration`] or [`Name`] accepts only what is valid, and a rule that spans several
//! fields stands in a `TryFrom` behind `#[serde(try_from = …)]`. A value of such a type is
//! therefore valid by construction, and there is no second pass.
//!
//! What this module adds to serde is the report. [`read`] returns **all** errors at once, each
//! with its JSON path, what was found and what is allowed:
//!
//! ```text
//! $.rules[2].match.path.regex: unclosed group at 7; expected a regular expression …
//! $.modes: unknown field; allowed: name, mode, preset, …
//! ```
//!
//! serde itself stops at the first error. `read` notes it, sets the offending part of the document
//! aside and reads again, until nothing is left to complain about. What may be a mere consequence
//! of a part set aside is not reported: that a field is missing which was there, or whatever a
//! `TryFrom` says about an object that has lost a part. serde names one missing field of an object
//! only, so a second one shows when the first is mended.
//!
//! Duplicate members are refused: JSON parsers disagree about which one counts.

mod bounds;
mod document;
mod duration;
mod error;
mod header;
mod name;
mod named_list;
mod reader;
mod tables;
mod text;

pub use bounds::{BoundedDuration, BoundedInteger};
pub use document::{Document, member_path};
pub use duration::Duration;
pub use error::at_member;
pub use error::{Error, Errors};
pub use header::FRAMING;
pub use header::{HeaderName, HeaderValue, is_framing};
pub use name::Name;
pub use named_list::NamedList;
pub use tables::HasTables;
pub use text::Text;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a plugin, or one of its rules, does with its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide and act.
    #[default]
    Enforce,
    /// Decide and count, but never act: for trying a policy on live traffic.
    Shadow,
    /// Do nothing at all.
    Off,
}

/// As in a configuration.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        })
    }
}

/// What happens to a request when the state that its verdict depends on cannot be read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It passes.
    #[default]
    Allow,
    /// It is denied, with status 503.
    Deny,
}

/// Reads a configuration of type `T` from JSON text, or says everything that is wrong with it.
///
/// Empty text counts as `{}`: that is what Envoy hands over when no configuration was given.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Errors> {
    Document::parse(text)?.read()
}
