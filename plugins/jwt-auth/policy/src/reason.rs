//! Why a request passes or is refused.

use bytes::Bytes;
use portcullis_core::label::{ByLabel, Label};

/// The response-code details of the refusals of a rule, for Envoy's access log: `jwt_refused{expired,admin}`.
#[derive(Debug)]
pub(super) struct Details(ByLabel<Reason, Bytes>);

impl Details {
    pub(super) fn new(rule: &str) -> Self {
        let details = |reason: Reason| format!("jwt_refused{{{},{rule}}}", reason.label()).into();
        Self(ByLabel::new(details))
    }

    pub(super) fn of(&self, reason: Reason) -> Bytes {
        self.0.get(reason).cloned().unwrap_or_default()
    }
}

/// Why a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmitReason {
    /// It has what its rule requires.
    Verified,
    /// It has no token, and its rule has `allow_missing`.
    NoToken,
    /// Its rule requires nothing.
    NotRequired,
    /// It is a CORS preflight.
    Preflight,
    /// No rule is for it, and `unmatched` is `allow`.
    NoRule,
    /// It could not be judged, and `on_error` is `allow`.
    Error,
}

/// The value of the metric label `reason`.
impl Label for AdmitReason {
    const ALL: &'static [Self] = &[
        Self::Verified,
        Self::NoToken,
        Self::NotRequired,
        Self::Preflight,
        Self::NoRule,
        Self::Error,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NoToken => "no_token",
            Self::NotRequired => "not_required",
            Self::Preflight => "preflight",
            Self::NoRule => "no_rule",
            Self::Error => "error",
        }
    }
}

/// What a client is told: the error codes of RFC 6750 and RFC 9470, and those that these do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// 401 without an error code: there are no credentials.
    Authenticate,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// 400 that has nothing to do with tokens.
    BadRequest,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// 401 `insufficient_user_authentication`.
    StepUp,
    /// 403: no token would help.
    Forbidden,
    /// 503.
    Unavailable,
}

/// The reasons, each with its name in metrics and logs, and its answer.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $label:literal: $error_class:ident,)*) => {
        /// Why a request is refused. Metrics and logs tell it; the client is told its class only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        /// The value of the metric label `reason`.
        impl Label for Reason {
            const ALL: &'static [Self] = &[$(Self::$reason),*];

            fn label(self) -> &'static str {
                match self {
                    $(Self::$reason => $label,)*
                }
            }
        }

        impl Reason {
            /// What the client is told.
            pub(super) fn error_class(self) -> ErrorClass {
                match self {
                    $(Self::$reason => ErrorClass::$error_class,)*
                }
            }
        }
    };
}

reasons! {
    /// It has no token, or not all that are required.
    NoToken = "no_token": Authenticate,
    /// No rule is for it, and `unmatched` is `deny`.
    NoRule = "no_rule": Forbidden,
    /// Its path has several readings, which lead to different rules.
    AmbiguousPath = "ambiguous_path": BadRequest,
    /// It has a header that only tokens may set, and a rule looks at the route.
    ClientClaimHeader = "client_claim_header": BadRequest,
    /// It has several tokens, or one in several places.
    SeveralTokens = "several_tokens": InvalidRequest,
    /// What stands in the token's place has characters that no token has, or something like a token is
    /// there where it counts for some servers only.
    NotAToken = "not_a_token": InvalidRequest,
    /// The token is not a signed JWT, or not strictly one.
    Malformed = "malformed": InvalidToken,
    /// No provider that the rule allows in this place is the token's issuer.
    Issuer = "issuer": InvalidToken,
    /// The provider does not allow the token's algorithm.
    Algorithm = "algorithm": InvalidToken,
    /// The provider does not allow the token's `typ`.
    Type = "type": InvalidToken,
    /// The token has no `exp`, and the provider requires one.
    NoExpiration = "no_expiration": InvalidToken,
    /// The token has expired.
    Expired = "expired": InvalidToken,
    /// The token's `nbf` has not come yet.
    NotYetValid = "not_yet_valid": InvalidToken,
    /// The token was issued (`iat`) in the future.
    IssuedInFuture = "issued_in_future": InvalidToken,
    /// The token lives for longer than `max_lifetime`.
    Lifetime = "lifetime": InvalidToken,
    /// The token is for another audience.
    Audience = "audience": InvalidToken,
    /// The token is revoked.
    Revoked = "revoked": InvalidToken,
    /// The provider has no key of the token's `kid`.
    UnknownKey = "unknown_key": InvalidToken,
    /// The key of the token's `kid` is for other algorithms.
    WrongKey = "wrong_key": InvalidToken,
    /// The token has no `kid`, and too many keys would have to be tried.
    AmbiguousKey = "ambiguous_key": InvalidToken,
    /// The signature is not good.
    Signature = "signature": InvalidToken,
    /// The token lacks a scope.
    Scope = "scope": InsufficientScope,
    /// A claim is not as the rule requires.
    Claim = "claim": InsufficientScope,
    /// A claim cannot be carried in its header without becoming another's value.
    ClaimHeader = "claim_header": Forbidden,
    /// The user was authenticated by other means than the rule requires.
    AuthenticationContext = "authentication_context": StepUp,
    /// The user was authenticated too long ago.
    AuthenticationAge = "authentication_age": StepUp,
    /// The provider's keys could not be fetched yet, or have not been for too long.
    KeysUnavailable = "keys_unavailable": Unavailable,
    /// The revocation list could not be fetched yet.
    RevocationUnavailable = "revocation_unavailable": Unavailable,
    /// Too many requests wait for keys or a revocation list.
    TooManyWaiting = "too_many_waiting": Unavailable,
    /// Envoy did not hand over the request.
    Error = "error": Unavailable,
}
