//! Changes to single headers, for headers without a field of their own.

use bytes::Bytes;
use serde::Deserialize;

use super::lines::has;
use portcullis_core::config::{HeaderValue, at_member, is_framing};
use portcullis_core::headers::{HeaderMap, is_token};

/// A change to one header of the response.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "HeaderMutationFields")
)]
#[serde(try_from = "HeaderMutationFields")]
pub struct HeaderMutation {
    name: Bytes,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Set(Bytes),
    SetIfAbsent(Bytes),
    Append(Bytes),
    Remove,
}

impl HeaderMutation {
    /// The name of the header, in lower case.
    pub(super) fn name(&self) -> &Bytes {
        &self.name
    }

    /// Whether this gives the header `name` this value, in any letter case.
    pub(super) fn gives(&self, name: &str, value: &[u8]) -> bool {
        match &self.action {
            Action::Set(own) | Action::SetIfAbsent(own) | Action::Append(own) => {
                self.name == name && own.eq_ignore_ascii_case(value)
            }
            Action::Remove => false,
        }
    }

    /// Whether this alone determines the header, so that it needs no default.
    pub(super) fn replaces_default(&self) -> bool {
        match self.action {
            Action::Set(_) | Action::SetIfAbsent(_) | Action::Remove => true,
            Action::Append(_) => false,
        }
    }

    /// Whether the result depends on the upstream's headers. If so, it is unknown for a 304: the header may be missing
    /// there and exist in the stored response. A policy depends on the upstream's `x-frame-options` (see
    /// [`frame_ancestors`](super::frame_ancestors)).
    fn depends_on_the_upstream(&self) -> bool {
        match self.action {
            Action::Set(_) => self.name == "content-security-policy",
            Action::SetIfAbsent(_) | Action::Append(_) => true,
            Action::Remove => false,
        }
    }

    /// Changes the header. Returns true if it was left as the upstream had set it.
    pub(super) fn apply(&self, not_modified: bool, headers: &mut HeaderMap) -> bool {
        let name = self.name.clone();
        if not_modified && self.depends_on_the_upstream() && !has(headers, &name) {
            return false;
        }
        match &self.action {
            Action::Set(value) => headers.set(name, value.clone()),
            Action::SetIfAbsent(value) => {
                if has(headers, &name) {
                    return true;
                }
                headers.set(name, value.clone());
            }
            Action::Append(value) => {
                let lists_it = headers
                    .iter()
                    .any(|(other, line)| *other == name && lists(line, value));
                if !lists_it {
                    headers.append(name, value.clone());
                }
            }
            Action::Remove => {
                headers.remove(name);
            }
        }
        false
    }
}

/// Whether a line is the value, or a comma-separated list that contains it.
fn lists(line: &[u8], value: &[u8]) -> bool {
    line.eq_ignore_ascii_case(value)
        || line
            .split(|byte| *byte == b',')
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(value))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct HeaderMutationFields {
    /// Name of the header, in any letter case.
    name: WritableHeaderName,
    /// Value of the header. Required, except with the action `remove`, which takes none.
    value: Option<HeaderValue>,
    /// Action on the header. It has no default, because the defaults of other tools differ.
    action: ActionName,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "HeaderAction")
)]
#[serde(rename_all = "snake_case")]
enum ActionName {
    /// The header has this value and no other.
    Set,
    /// The header has this value unless the upstream set it.
    SetIfAbsent,
    /// Adds a line with this value, unless a line already has it, alone or in a comma-separated list, in any letter
    /// case.
    Append,
    /// The header is removed.
    Remove,
}

impl TryFrom<HeaderMutationFields> for HeaderMutation {
    type Error = String;

    fn try_from(fields: HeaderMutationFields) -> Result<Self, String> {
        let WritableHeaderName(name) = fields.name;
        let action = match (fields.action, fields.value) {
            (ActionName::Remove, None) => Action::Remove,
            (ActionName::Remove, Some(_)) => {
                let message = "found a value; the action \"remove\" takes none";
                return Err(at_member("value", message));
            }
            (_, None) => {
                return Err(
                    "required field \"value\" is missing; only the action \"remove\" takes none"
                        .to_owned(),
                );
            }
            (ActionName::Append, Some(_)) if name == "content-security-policy" => {
                return Err(at_member(
                    "action",
                    "found \"append\" to content-security-policy; use \"csp\", or \"set\": browsers \
                     enforce every policy, so a second one can only forbid more",
                ));
            }
            (ActionName::Set, Some(HeaderValue(value))) => Action::Set(value),
            (ActionName::SetIfAbsent, Some(HeaderValue(value))) => Action::SetIfAbsent(value),
            (ActionName::Append, Some(HeaderValue(value))) => Action::Append(value),
        };
        Ok(Self { name, action })
    }
}

/// The name of a header that the plugin may set or remove, in lower case.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
struct WritableHeaderName(Bytes);

impl TryFrom<String> for WritableHeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if name.starts_with(':') {
            return Err(format!(
                "found {text:?}; expected an ordinary header: pseudo-headers cannot be changed"
            ));
        }
        if !is_token(&name) {
            return Err(format!(
                "found {text:?}; expected the name of a header: letters, digits and \
                 ! # $ % & ' * + - . ^ _ ` | ~"
            ));
        }
        if is_framing(&name) {
            return Err(format!(
                "found {text:?}; expected another header: this one belongs to the connection and is \
                 written by Envoy"
            ));
        }
        if name == "set-cookie" {
            return Err(format!(
                "found {text:?}; expected another header: each line is a separate cookie; use \
                 \"cookies\" for their attributes"
            ));
        }
        Ok(Self(name.into()))
    }
}
