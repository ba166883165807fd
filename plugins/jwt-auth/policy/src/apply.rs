//! The changes that a decision makes to the headers of a request.

use super::decision::{Decision, Verdict};
use super::{JwtAuth, RuleId, SHADOW_HEADER};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;

impl JwtAuth {
    /// Changes the headers of a request as decided. Call it for every request that passes, before it passes.
    ///
    /// Claim headers from the client are always removed, and those of valid tokens are set. A request loses its
    /// tokens only if it is admitted and enforced: in shadow mode, an upstream that still verifies tokens must keep
    /// working.
    pub fn apply(&self, decision: &Decision, headers: &mut HeaderMap) {
        for header in &self.claim_headers {
            headers.remove_spellings(header);
        }
        let requirement = |id: RuleId| self.rules.get(id.0)?.requirement.as_ref();
        let is_enforced =
            decision.mode == Mode::Enforce && matches!(decision.verdict, Verdict::Admitted(_));
        for token in decision.tokens.iter() {
            for (name, value) in token.verified.headers.iter().flatten() {
                headers.set(name.clone(), value.clone());
            }
            let requirement = token.rule.and_then(requirement);
            let spec = requirement.and_then(|requirement| requirement.tokens.get(token.spec));
            let provider = self.provider(token.verified.provider);
            let is_forwarded = provider.is_none_or(|provider| provider.forward);
            if let Some(spec) = spec.filter(|_| is_enforced && !is_forwarded) {
                spec.strip(&token.places, headers);
            }
        }
        if let Verdict::ShadowRefused(_) = decision.verdict {
            let rule = self.rule_name(decision.rule);
            headers.append(SHADOW_HEADER.into(), format!("jwt_auth;{rule}").into());
        }
    }
}
