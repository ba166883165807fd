//! The reasons for admitting or refusing a request.

use bytes::Bytes;
use portcullis_core::label::{ByLabel, Label};

/// The response-code details of a rule's refusals, for Envoy's access log: `jwt_refused{expired,admin}`.
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

/// The reason for admitting a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmitReason {
    /// It meets its rule.
    Verified,
    /// It has no token, and its rule has `allow_missing`.
    NoToken,
    /// Its rule requires nothing.
    NotRequired,
    /// It is a CORS preflight.
    Preflight,
    /// No rule matches it, and `unmatched` is `allow`.
    NoRule,
    /// Envoy withheld something that the verdict depends on, and `on_error` is `allow`.
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

/// The part of a reason that the client learns: the error codes of RFC 6750 and RFC 9470, and responses without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// 401 without an error code: the request has no credentials.
    Authenticate,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// 400 for a fault that does not concern tokens.
    BadRequest,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// 401 `insufficient_user_authentication`.
    StepUp,
    /// 403 that no other token would avoid.
    Forbidden,
    /// 503.
    Unavailable,
}

/// The reasons, each with its label in metrics and logs, and its error class.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $label:literal: $error_class:ident,)*) => {
        /// The reason for refusing a request. Metrics and logs show it; the client learns only its class.
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
            /// What the client learns.
            pub(super) fn error_class(self) -> ErrorClass {
                match self {
                    $(Self::$reason => ErrorClass::$error_class,)*
                }
            }
        }
    };
}

reasons! {
    /// It lacks a required token.
    NoToken = "no_token": Authenticate,
    /// No rule matches it, and `unmatched` is `deny`.
    NoRule = "no_rule": Forbidden,
    /// The readings of its path lead to different rules.
    AmbiguousPath = "ambiguous_path": BadRequest,
    /// It has a header that only tokens may set, and a rule matches on the route.
    ClientClaimHeader = "client_claim_header": BadRequest,
    /// It has several tokens.
    SeveralTokens = "several_tokens": InvalidRequest,
    /// The text in the token's place has characters that no token has, or a lookalike is somewhere that only some
    /// servers read.
    NotAToken = "not_a_token": InvalidRequest,
    /// The token is not strictly a signed JWT.
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
    /// The token's `nbf` is in the future.
    NotYetValid = "not_yet_valid": InvalidToken,
    /// The token's `iat` is in the future.
    IssuedInFuture = "issued_in_future": InvalidToken,
    /// The token lives longer than `max_lifetime`.
    Lifetime = "lifetime": InvalidToken,
    /// The token is for another audience.
    Audience = "audience": InvalidToken,
    /// The token is revoked.
    Revoked = "revoked": InvalidToken,
    /// The provider has no key with the token's `kid`.
    UnknownKey = "unknown_key": InvalidToken,
    /// The key with the token's `kid` is for other algorithms.
    WrongKey = "wrong_key": InvalidToken,
    /// The token has no `kid` and too many keys fit it, or two different keys with its `kid` fit it.
    AmbiguousKey = "ambiguous_key": InvalidToken,
    /// The signature is bad.
    Signature = "signature": InvalidToken,
    /// The token lacks a scope.
    Scope = "scope": InsufficientScope,
    /// A claim lacks the value that the rule requires.
    Claim = "claim": InsufficientScope,
    /// A header cannot carry a claim: the value could be read as another one.
    ClaimHeader = "claim_header": Forbidden,
    /// The user was authenticated by other means than the rule requires.
    AuthenticationContext = "authentication_context": StepUp,
    /// The user was authenticated too long ago.
    AuthenticationAge = "authentication_age": StepUp,
    /// The provider's keys have not been fetched yet, or are too old.
    KeysUnavailable = "keys_unavailable": Unavailable,
    /// The revocation list has not been fetched yet.
    RevocationUnavailable = "revocation_unavailable": Unavailable,
    /// Too many requests wait for keys or a revocation list already.
    TooManyWaiting = "too_many_waiting": Unavailable,
    /// Envoy withheld something that the verdict depends on, or refused a change.
    Error = "error": Unavailable,
}
