//! Content-Security-Policy (CSP Level 3).

mod directive;
mod directives;
mod source;

use bytes::Bytes;
use serde::Deserialize;

use super::Nonce;
use super::defaults::DefaultValue;
use directives::Directives;

/// The keyword that stands for a fresh nonce.
const NONCE: &str = "'nonce'";

/// Where a page may load from, and what it may run.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Csp {
    /// The policy, directive by directive, in place of the preset's whole policy. Keywords stand
    /// in single quotes, as in the header; `'nonce'` is a fresh nonce on every response. Without
    /// this field: the preset's policy. `{}`: no policy at all.
    directives: Option<Directives>,
    /// Only report what the policy would forbid.
    report_only: bool,
}

impl Csp {
    /// What a configuration without `csp` says.
    pub(super) const OF_PRESET: Self = Self {
        directives: None,
        report_only: false,
    };

    pub(super) fn header_name(&self) -> &'static str {
        match self.report_only {
            true => "content-security-policy-report-only",
            false => "content-security-policy",
        }
    }

    /// The policy; `preset` is that of the preset.
    pub(super) fn policy(&self, preset: Option<&'static str>) -> Option<DefaultValue> {
        let Some(directives) = &self.directives else {
            return preset.map(|policy| DefaultValue::Fixed(policy.into()));
        };
        if directives.is_empty() {
            return None;
        }
        let policy = directives.to_string();
        if !policy.contains(NONCE) {
            return Some(DefaultValue::Fixed(policy.into()));
        }
        Some(DefaultValue::WithNonce(NoncePolicy {
            // No source but the keyword itself contains it, because no other has quotes inside.
            parts: policy.split(NONCE).map(str::to_owned).collect(),
            without: directives.without_nonces().to_string().into(),
        }))
    }
}

/// A policy with places for a nonce.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoncePolicy {
    /// What stands before, between and after the places.
    parts: Vec<String>,
    /// The policy for responses that have no nonce.
    without: Bytes,
}

impl NoncePolicy {
    pub(super) fn value(&self, nonce: Option<&Nonce>) -> Bytes {
        let Some(nonce) = nonce else {
            return self.without.clone();
        };
        let source = [b"'nonce-", nonce.as_bytes(), b"'"].concat();
        let parts: Vec<&[u8]> = self.parts.iter().map(|part| part.as_bytes()).collect();
        parts.join(&source[..]).into()
    }
}
