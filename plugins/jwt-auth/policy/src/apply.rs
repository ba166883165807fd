//! What a decision does to the headers of a request.

use super::decision::{Decision, Verdict};
use super::{JwtAuth, RuleId, SHADOW_HEADER};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;

impl JwtAuth {
    /// Changes the headers of a request as decided: call it for every request that does not wait,
    /// before it passes.
    ///
    /// What a client sent in the headers of claims is gone in any case, and those of good tokens are
    /// set. Only a request that is admitted in earnest loses its tokens: an upstream that still
    /// verifies them by itself goes on to work in shadow mode.
    pub fn apply(&self, decision: &Decision, headers: &mut HeaderMap) {
        for header in &self.claim_headers {
            headers.remove_spellings(header);
        }
        let requirement = |id: RuleId| self.rules.get(id.0)?.requirement.as_ref();
        let is_in_earnest =
            decision.mode == Mode::Enforce && matches!(decision.verdict, Verdict::Admitted(_));
        for token in &decision.tokens {
            for (name, value) in token.verified.headers.iter().flatten() {
                headers.set(name.clone(), value.clone());
            }
            let requirement = token.rule.and_then(requirement);
            let spec = requirement.and_then(|requirement| requirement.tokens.get(token.spec));
            let provider = self.provider(token.verified.provider);
            let is_forwarded = provider.is_none_or(|provider| provider.forward);
            if let Some(spec) = spec.filter(|_| is_in_earnest && !is_forwarded) {
                spec.strip(&token.places, headers);
            }
        }
        if let Verdict::ShadowRefused(_) = decision.verdict {
            let rule = self.rule_name(decision.rule);
            headers.append(SHADOW_HEADER.into(), format!("jwt_auth;{rule}").into());
        }
    }
}
