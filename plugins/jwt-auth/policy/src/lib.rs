//! Authentication with signed tokens (JWT, RFC 7519) of trusted issuers: the decisions of jwt-auth, without Envoy.
//!
//! # The decision about a request
//!
//! 1. The first **rule** whose `match` fits decides (for a request with several readings, see below). Rules that are
//!    off do not exist. Without a rule, `unmatched` decides.
//! 2. A CORS preflight (Fetch, section 3.2.2: `OPTIONS` with `Origin` and `Access-Control-Request-Method`, and
//!    without `Authorization`, cookies and a body, which browsers never send with one) passes, unless
//!    `bypass_cors_preflight` is `false`.
//! 3. The policy looks for the rule's **tokens** in the places that its providers name (`from`): one token for
//!    `provider` and `any`, one of each for `all`. It searches every place, whichever provider named it, so a second
//!    token is never overlooked.
//!    - No token at all: `allow_missing` decides. Some, but not all: refused.
//!    - A lookalike, which resembles a token and is not one: refused where a request without a token would pass, and
//!      beside a token (see `lookalike.rs`).
//!    - Two different tokens: refused (RFC 6750, section 3.1).
//! 4. Each token is verified, see below.
//! 5. The rule's **conditions** are checked: `scopes`, `claims`, `step_up`. With `all`, they apply to the token of the
//!    first provider, the client's.
//!
//! # The verification of a token
//!
//! Cheap checks come first, so that junk costs no signature check:
//!
//! 1. If the token cache has the token (`token_cache.rs`), only its times are checked again, and whether the keys
//!    are still usable.
//! 2. If the bad-signature cache has the token (`bad_signatures.rs`), it is refused.
//! 3. It has only characters of a token, and is strictly a signed JWT (see [`jose`]).
//! 4. `iss` names one of the providers that the rule allows in this place. From here on, only that provider's
//!    settings and keys count.
//! 5. `alg` and `typ` are allowed; the times are right (`validity.rs`); so is `aud`.
//! 6. It is not revoked (see [`revocation`]).
//! 7. Its key exists: the one with its `kid`; without `kid`, each key that fits, if they are few (see
//!    [`jose`]).
//! 8. The signature is good. The first bad one ends the request, so a request costs at most one bad signature that
//!    the module itself verifies, and a good one for each token before it that the rule requires.
//!
//! Anybody can make a token that fails before its signature is checked. The client therefore only learns
//! `invalid_token`, never the fault (`reply.rs`).
//!
//! # Waiting
//!
//! A request waits if a document that is due to be fetched (see [`remote`]) could change the verdict:
//!
//! | missing | waits for | otherwise |
//! |---|---|---|
//! | keys that were never fetched, or are too old | keys | 503 |
//! | a key with the token's `kid` | other keys | refused as an invalid token |
//! | a revocation list that was never fetched | a list | 503; with `on_error: allow` the request does not wait |
//!
//! It waits at most for the document's `timeout`. It does not wait if the next fetch comes later than that because the
//! last one has just failed; because of an unknown `kid` it waits only for a fetch that may start at once. In shadow
//! mode no request waits; the document is fetched all the same. The caller limits the number of waiting requests with
//! [`WaitStatus`].
//!
//! A token without `jti` cannot be revoked, and does not wait for the list. A token that is refused for another reason
//! waits for nothing.
//!
//! # Errors of Envoy
//!
//! If Envoy withholds something that the verdict depends on (the headers, the route that a rule names, the time),
//! `on_error` decides: 503 with `deny`, the default. With `allow` the request passes without claims, and without the
//! claim headers that its client sent. `on_error` does not cover a change that Envoy refuses: a request that still has
//! a forged claim header, or lacks the claims of its token, gets 503. A rule that requires nothing is no exception.
//!
//! # Headers
//!
//! - Headers that any provider sets (`claims_to_headers`, `forward_payload_header`) are removed if the client sends
//!   them, in every [spelling](portcullis_core::readings::is_spelling_of) and from every request that passes, also
//!   under rules that require nothing, also in shadow mode.
//! - The headers of valid tokens are set. A token with a claim that its header cannot carry is refused, see
//!   `claim_value.rs`.
//! - A token is removed from its places (see `place.rs`), unless its provider has `forward`. In shadow mode it stays:
//!   an upstream that still verifies it must keep working.
//! - The claims of the client's token are published for later filters ([`Decision::claims`]).
//!
//! # Routes
//!
//! The changes to a request can lead Envoy to another route than the one that was judged. If rules match on the route,
//! requests and configurations for which that could matter are refused, see `reroute.rs`.
//!
//! # Requests with several readings
//!
//! A rule with weaker requirements grants access, so it must be the first one in every reading of the request (see
//! [`readings`](portcullis_core::readings)). [`FirstMatch`](portcullis_core::matcher::FirstMatch) holds the rules that
//! may be the first, and the one that certainly ends the search.
//!
//! - If there are several and the path can be read in several ways, the request is **ambiguous**: 400
//!   `ambiguous_path`. With `ambiguous: strictest`, the next item applies instead.
//! - If there are several for another reason (a method in lower case, a path in another letter case or without its
//!   final slash, which some servers ignore), the request has to meet **each** of them. So `/ADMIN/x` needs what
//!   `/admin/` needs and what the rule for all other paths needs.
//!
//! If an earlier rule fits a spelling loosely and a later rule names exactly that spelling (rules for `/docs/` and for
//! `/Docs/`, for `/admin` and for `/admin/`), each rule applies to its own spelling.
//!
//! # Shadow mode
//!
//! A request that would be refused passes, marked with [`SHADOW_HEADER`].

mod apply;
mod bad_signatures;
mod claim_headers;
mod claim_value;
mod compiled;
mod config;
mod decide;
mod decision;
mod issuer;
pub mod jose;
mod jwt_auth;
mod keys;
mod lookalike;
mod place;
mod policy;
mod provider;
mod reason;
pub mod remote;
mod remote_state;
mod reply;
mod reroute;
pub mod revocation;
mod rule;
mod scope;
mod state;
mod step_up;
#[cfg(test)]
mod tests;
mod token_cache;
mod validity;
mod verified;
mod verify;

pub use config::Config;
pub use decision::{Decision, Now, Verdict, WaitStatus};
pub use jwt_auth::{JwtAuth, RemoteId, RuleId};
pub use portcullis_core::headers::SHADOW_HEADER;
pub use reason::{AdmitReason, Reason};
pub use state::{Installed, Polled, Role, State};
pub use verify::Verification;

use jwt_auth::{ProviderId, RemoteKind};
