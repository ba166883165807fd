//! Requests: refusals and nonces.

use bytes::Bytes;

use super::{NO_RULE, Nonce, Refusal, SecurityHeaders, Selection};
use portcullis_core::headers::HeaderMap;
use portcullis_core::reply::Reply;

/// The request header with the nonce for the upstream.
const NONCE_HEADER: &str = "x-csp-nonce";

/// The result of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOutcome {
    /// The nonce in the request header, which the response needs.
    pub nonce: Option<Nonce>,
    /// The refusal, if another site caused the request.
    pub refused: Option<Refusal>,
}

impl SecurityHeaders {
    /// Checks whether another site caused the request, and adds a nonce. `random` must be unpredictable bytes that
    /// are used once.
    ///
    /// If [`RequestOutcome::refused`] is enforced, the request is unchanged.
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

    /// The reply to a refused request; `None` if the refusal is only counted. The response-code details name the
    /// rule: `cross_site_refused{none}`.
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

    /// The first enforced refusal of the selected rules; without one, the first that is only counted.
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

    /// Removes a client's own nonce, in every spelling of the header's name. If no rule has nonces, the header is like
    /// any other.
    pub fn remove_nonce(&self, request: &mut HeaderMap) {
        if self.uses_nonces {
            request.remove_spellings(NONCE_HEADER);
        }
    }
}

/// Response-code details of refusals, by rule: first `none`, then `rules`.
pub(super) fn details_of_refusals<'a>(rules: impl Iterator<Item = &'a str>) -> Vec<Bytes> {
    std::iter::once(NO_RULE)
        .chain(rules)
        .map(|rule| format!("cross_site_refused{{{rule}}}").into())
        .collect()
}
