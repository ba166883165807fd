//! Verification of one token.
//!
//! The checks run in the order of their cost, so that an obviously invalid token is refused before a signature is
//! verified. The [crate's documentation](crate) lists them.

use portcullis_core::label::Label;
use std::rc::Rc;

use super::keys::Keys;
use super::provider::Provider;
use super::reason::Reason;
use super::state::State;
use super::validity::Validity;
use super::verified::{Verified, identity};
use super::{JwtAuth, Now, ProviderId, RemoteId};
use crate::jose::{HostSignatures, KeySet, MAX_TOKEN, Malformed, NoKey, Object, Token, VerifiedBy};
use portcullis_core::config::OnError;
use portcullis_core::time::{Nanos, UnixSeconds};
use portcullis_table::KeyHash;

/// How a signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The token cache has the token.
    Cache,
    /// Envoy verified it.
    Host,
    /// The module verified it in WebAssembly.
    Rust,
    /// Envoy or the module found it to be bad.
    Failed,
    /// The bad-signature cache has the token.
    KnownBadSignature,
}

/// The value of the metric label `path`.
impl Label for Verification {
    const ALL: &'static [Self] = &[
        Self::Cache,
        Self::Host,
        Self::Rust,
        Self::Failed,
        Self::KnownBadSignature,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Host => "host",
            Self::Rust => "rust",
            Self::Failed => "failed",
            Self::KnownBadSignature => "known_forgery",
        }
    }
}

/// The reason why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: Reason,
    /// More detail, for the log.
    pub(super) detail: &'static str,
    pub(super) verification: Option<Verification>,
    /// The remote document that could change the verdict.
    pub(super) wanted: Option<RemoteId>,
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            detail: "",
            verification: None,
            wanted: None,
        }
    }
}

impl JwtAuth {
    /// Verifies a token that any of the providers may have issued.
    pub(super) fn verify(
        &self,
        token: &[u8],
        providers: &[ProviderId],
        state: &mut State,
        now: Now,
        host: &impl HostSignatures,
    ) -> Result<(Rc<Verified>, Verification), Rejection> {
        if token.len() > MAX_TOKEN {
            return Err(malformed(Malformed::TooLong));
        }
        let end = state.hash_end(token);
        if let Some(known) = self.known(token, end, providers, state, now) {
            return Ok((known, Verification::Cache));
        }
        let hash = state.hash_for(token, providers);
        if state.bad_signatures.contains(hash) {
            return Err(Rejection {
                verification: Some(Verification::KnownBadSignature),
                ..Reason::Signature.into()
            });
        }
        let parsed = Token::parse_cached(&mut state.header_cache, token).map_err(|fault| {
            match token.iter().all(|byte| is_credential(*byte)) {
                true => malformed(fault),
                false => Reason::NotAToken.into(),
            }
        })?;
        let (id, provider) = self
            .issuer(parsed.claims(), providers)
            .ok_or(Reason::Issuer)?;
        let validity = provider.check(&parsed, now.wall)?;
        self.check_revocation(&parsed, provider, state, now)?;
        let (set, wanted) = self.key_set(id, provider, state, now)?;
        let verified = signature(&parsed, provider, set, wanted, host);
        match verified {
            Ok(by) => {
                let verified = Rc::new(Verified::new(parsed, id, provider, validity));
                state.tokens.insert(end, token, &verified);
                let by = match by {
                    VerifiedBy::Host => Verification::Host,
                    VerifiedBy::Rust => Verification::Rust,
                };
                Ok((verified, by))
            }
            Err(rejection) => {
                if rejection.reason == Reason::Signature {
                    state.bad_signatures.insert(hash);
                }
                Err(rejection)
            }
        }
    }

    /// A token from the cache, if it is still valid and usable here.
    fn known(
        &self,
        token: &[u8],
        end: KeyHash,
        providers: &[ProviderId],
        state: &mut State,
        now: Now,
    ) -> Option<Rc<Verified>> {
        let known = state.tokens.get(end, token)?;
        let is_good = known.validity.contains(now.wall)
            && self.may_use_keys(known.provider, state, now.steady);
        if !is_good {
            // The full verification finds the reason.
            state.tokens.remove(end);
            return None;
        }
        let is_exact = self
            .provider(known.provider)
            .is_some_and(|provider| provider.issuer.is_exact());
        let is_allowed = match is_exact {
            true => providers.contains(&known.provider),
            // Another provider with this exact issuer may have priority here.
            false => self
                .issuer(&known.claims, providers)
                .is_some_and(|(id, _)| id == known.provider),
        };
        is_allowed.then_some(known)
    }

    /// The provider whose issuer the claims name; an exact issuer has priority over one with tenants.
    fn issuer(&self, claims: &Object, providers: &[ProviderId]) -> Option<(ProviderId, &Provider)> {
        let find = |is_exact: bool| {
            let mut providers = providers
                .iter()
                .filter_map(|id| Some((*id, self.provider(*id)?)));
            providers.find(|(_, provider)| {
                provider.issuer.is_exact() == is_exact && provider.issuer.accepts(claims)
            })
        };
        find(true).or_else(|| find(false))
    }

    fn check_revocation(
        &self,
        token: &Token<'_>,
        provider: &Provider,
        state: &State,
        now: Now,
    ) -> Result<(), Rejection> {
        let Some((iss, jti)) = identity(token.claims()) else {
            return Ok(());
        };
        let skew = provider.times.clock_skew;
        if state.revoked.contains(iss, jti, now.wall, skew) {
            return Err(Reason::Revoked.into());
        }
        let missing = self
            .revocations
            .filter(|remote| !state.is_usable(*remote, now.steady));
        match (missing, self.on_error) {
            (Some(remote), OnError::Deny) => Err(Rejection {
                wanted: Some(remote),
                ..Reason::RevocationUnavailable.into()
            }),
            (Some(_), OnError::Allow) | (None, _) => Ok(()),
        }
    }

    /// The keys of a provider, and their document.
    fn key_set<'s>(
        &'s self,
        id: ProviderId,
        provider: &'s Provider,
        state: &'s State,
        now: Now,
    ) -> Result<(&'s KeySet, Option<RemoteId>), Rejection> {
        match (&provider.keys, self.keys_of(id)) {
            (Keys::Inline(set), _) => {
                let set = set.as_ref().ok_or(Rejection {
                    detail: "the provider has no keys",
                    ..Reason::UnknownKey.into()
                })?;
                Ok((set, None))
            }
            (Keys::Remote(_), remote) => {
                let set = state.key_sets.get(id.0).and_then(Option::as_ref);
                let set = set.filter(|_| self.may_use_keys(id, state, now.steady));
                let set = set.ok_or(Rejection {
                    wanted: remote,
                    ..Reason::KeysUnavailable.into()
                })?;
                Ok((set, remote))
            }
        }
    }

    /// Whether a provider's keys are inline, or fetched and not too old.
    fn may_use_keys(&self, id: ProviderId, state: &State, now: Nanos) -> bool {
        self.keys_of(id)
            .is_none_or(|remote| state.is_usable(remote, now))
    }
}

impl Provider {
    /// Checks everything that needs neither keys nor the signature.
    fn check(&self, token: &Token<'_>, now: UnixSeconds) -> Result<Validity, Reason> {
        if !self.algorithms.contains(&token.header().algorithm) {
            return Err(Reason::Algorithm);
        }
        if !self.accepts_type(token.header().typ.as_deref()) {
            return Err(Reason::Type);
        }
        let validity = self.times.check(token.claims(), now)?;
        match self.accepts_audience(token.claims().get("aud")) {
            true => Ok(validity),
            false => Err(Reason::Audience),
        }
    }
}

/// Verifies the signature with each key that the token may mean.
fn signature(
    token: &Token<'_>,
    provider: &Provider,
    set: &KeySet,
    remote: Option<RemoteId>,
    host: &impl HostSignatures,
) -> Result<VerifiedBy, Rejection> {
    let candidates = set
        .candidates(token.header(), &provider.algorithms, host)
        .map_err(|no_key| Rejection {
            detail: no_key.label(),
            wanted: remote.filter(|_| no_key == NoKey::UnknownKid),
            ..match no_key {
                NoKey::AlgorithmNotAllowed => Reason::Algorithm,
                NoKey::UnknownKid => Reason::UnknownKey,
                NoKey::AlgorithmMismatch => Reason::WrongKey,
                NoKey::Ambiguous => Reason::AmbiguousKey,
            }
            .into()
        })?;
    let verified = candidates.iter().find_map(|key| key.verify(token, host));
    verified.ok_or(Rejection {
        verification: Some(Verification::Failed),
        ..Reason::Signature.into()
    })
}

fn malformed(fault: Malformed) -> Rejection {
    Rejection {
        detail: fault.label(),
        ..Reason::Malformed.into()
    }
}

/// The characters of RFC 6750, section 2.1.
fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}
