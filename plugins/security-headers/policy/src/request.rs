//! The request's part: refusals and nonces.

use bytes::Bytes;

use super::{NO_RULE, Nonce, Refusal, SecurityHeaders, Selection};
use portcullis_core::headers::HeaderMap;
use portcullis_core::reply::Reply;

/// The request header that tells the upstream its nonce.
const NONCE_HEADER: &str = "x-csp-nonce";

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOutcome {
    /// The nonce that the upstream was told; the response needs it.
    pub nonce: Option<Nonce>,
    /// The request came from another site.
    pub refused: Option<Refusal>,
}

impl SecurityHeaders {
    /// Checks where a request comes from, and gives it its nonce. `random` must be bytes that
    /// nobody can predict, and used once.
    ///
    /// When [`RequestOutcome::refused`] is to be enforced, the request is unchanged.
    pub fn on_request(
        &self,
        selection: &Selection,
        request: &mut HeaderMap,
        random: Option<[u8; 16]>,
    ) -> RequestOutcome {
        let refused = self.refusal(selection, request);
        if refused.is_some_and(|refusal| refusal.enforced) {
            return RequestOutcome {
                nonce: None,
                refused,
            };
        }
        let nonce = random
            .filter(|_| self.needs_nonce(selection))
            .map(Nonce::new);
        match &nonce {
            Some(nonce) => {
                request.remove_other_spellings(NONCE_HEADER);
                request.set(
                    Bytes::from_static(NONCE_HEADER.as_bytes()),
                    Bytes::copy_from_slice(nonce.as_bytes()),
                );
            }
            None => self.remove_nonce(request),
        }
        RequestOutcome { nonce, refused }
    }

    /// The answer to a request that is refused; `None` if the refusal is only counted. The response-code
    /// details name the rule: `cross_site_refused{none}`.
    pub fn reply(&self, refusal: Refusal) -> Option<Reply> {
        refusal.enforced.then(|| Reply {
            status: 403,
            grpc_status: None,
            details: self
                .refused
                .get(refusal.rule.index())
                .cloned()
                .unwrap_or_default(),
            headers: Vec::new(),
            body: Bytes::from_static(b"Cross-site request refused\n"),
        })
    }

    /// The first refusal that is enforced by a rule which the request may fall under; without one, the
    /// first of those that are only counted.
    fn refusal(&self, selection: &Selection, request: &HeaderMap) -> Option<Refusal> {
        let mut counted = None;
        for rule in selection.rules() {
            match self.plan(rule).check_site(rule, request) {
                Some(refusal) if refusal.enforced => return Some(refusal),
                refusal => counted = counted.or(refusal),
            }
        }
        counted
    }

    /// Removes a nonce that a client made up, in every spelling of the header's name. Where no rule has
    /// nonces, the header is like any other.
    pub fn remove_nonce(&self, request: &mut HeaderMap) {
        if self.uses_nonces {
            request.remove_spellings(NONCE_HEADER);
        }
    }
}

/// The response-code details of refusals, by rule: that of no rule, and those of `rules`.
pub(super) fn details_of_refusals<'a>(rules: impl Iterator<Item = &'a str>) -> Vec<Bytes> {
    std::iter::once(NO_RULE)
        .chain(rules)
        .map(|rule| format!("cross_site_refused{{{rule}}}").into())
        .collect()
}
