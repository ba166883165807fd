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

/// Content-Security-Policy: the sources that a page may load and run content from.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Csp {
    /// Directives, replacing the preset's whole policy; `{}` sends no policy. Write keywords in single quotes, as in
    /// the header. `'nonce'` stands for a fresh nonce on every response. Default: the preset's policy.
    directives: Option<Directives>,
    /// Send the policy as `Content-Security-Policy-Report-Only`, which only reports violations. Default: false.
    report_only: bool,
}

impl Csp {
    /// The value of a configuration without `csp`.
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

    /// The policy to send. `preset` is the preset's policy.
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
            // Only the keyword itself contains this text: no other source has quotes inside.
            parts: policy.split(NONCE).map(str::to_owned).collect(),
            without: directives.without_nonces().to_string().into(),
        }))
    }
}

/// A policy with placeholders for a nonce.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoncePolicy {
    /// The texts before, between and after the placeholders.
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
