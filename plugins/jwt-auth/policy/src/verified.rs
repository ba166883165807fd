//! A verified token, with everything that requests need of it.

use bytes::Bytes;
use serde_json::Value;

use super::ProviderId;
use super::claim_value::ClaimValueError;
use super::provider::Provider;
use super::validity::Validity;
use crate::jose::{Object, Token};

/// A token that is valid until its time, its keys or the revocation list change. All expensive work is done.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) provider: ProviderId,
    pub(super) validity: Validity,
    pub(super) claims: Object,
    /// The claims as JSON.
    pub(super) payload: Bytes,
    /// The headers for the upstream, if they can carry its claims.
    pub(super) headers: Result<Vec<(Bytes, Bytes)>, ClaimValueError>,
}

impl Verified {
    pub(super) fn new(
        token: Token<'_>,
        id: ProviderId,
        provider: &Provider,
        validity: Validity,
    ) -> Self {
        let payload_header = provider.payload_header.as_ref().map(|header| {
            let mut parts = token.compact().split('.');
            let payload = parts.nth(1).unwrap_or_default();
            (
                header.name().clone(),
                Bytes::copy_from_slice(payload.as_bytes()),
            )
        });
        let headers = provider.claim_headers.of(token.claims());
        let headers = headers.map(|headers| headers.into_iter().chain(payload_header).collect());
        let (payload, claims) = token.into_payload();
        Self {
            provider: id,
            validity,
            claims,
            payload: payload.into(),
            headers,
        }
    }

    /// The identity of the token in a revocation list: `iss` and `jti`.
    pub(super) fn identity(&self) -> Option<(&str, &str)> {
        identity(&self.claims)
    }
}

/// The identity of a token in a revocation list: `iss` and `jti`.
pub(super) fn identity(claims: &Object) -> Option<(&str, &str)> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    Some((text("iss")?, text("jti")?))
}
