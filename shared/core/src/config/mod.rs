//! Reads a plugin's JSON configuration and reports the errors in it.
//!
//! Configuration types derive [`serde::Deserialize`] and validate themselves: a type such as [`Duration`] or
//! [`Name`] accepts only valid values, and a rule about several fields is a `TryFrom` behind
//! `#[serde(try_from = …)]`. A value of such a type is valid by construction, so there is no second pass.
//!
//! This module adds the error report to serde. [`read`] returns **all** errors at once, each with its JSON path,
//! what was found and what is allowed:
//!
//! ```text
//! $.rules[2].match.path.regex: unclosed group at 7; expected a regular expression …
//! $.modes: unknown field; allowed: name, mode, preset, …
//! ```
//!
//! serde itself stops at the first error. `read` records it, sets the offending part of the document aside and
//! reads again, until it finds no more errors. It does not report possible consequences of a part that was set
//! aside: a field that is missing only because of that, or the error of a `TryFrom` for an object that lost a part.
//! serde names only one missing field of an object, so a second one appears after the first is fixed.
//!
//! Duplicate members are refused, because JSON parsers disagree about which one counts.

mod bounds;
mod document;
mod duration;
mod error;
mod header;
mod name;
mod named_list;
mod reader;
mod statuses;
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
pub use statuses::Statuses;
pub use tables::HasTables;
pub use text::Text;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Whether a plugin, or one of its rules, acts on its decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide and act on the decision.
    #[default]
    Enforce,
    /// Decide and count, but do not act. Use this to try a policy on live traffic.
    Shadow,
    /// Do nothing.
    Off,
}

/// The word that a configuration uses.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        })
    }
}

/// What happens to a request if the state that decides about it cannot be read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The request passes.
    #[default]
    Allow,
    /// The request is denied with status 503.
    Deny,
}

/// Reads a configuration of type `T` from JSON text, or reports every error in it.
///
/// Empty text counts as `{}`: Envoy passes it if no configuration was given.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Errors> {
    Document::parse(text)?.read()
}
