//! The response to a refused request (RFC 6750, section 3; RFC 9470, section 3).
//!
//! | reason | status | challenge |
//! |---|---|---|
//! | no token | 401 | `Bearer realm="edge"` |
//! | several tokens, text that is not a token, or a lookalike | 400 | … `error="invalid_request"` |
//! | an invalid token, for any reason | 401 | … `error="invalid_token"` |
//! | a missing scope or claim | 403 | … `error="insufficient_scope", scope="admin"` |
//! | authenticated by other means, or too long ago | 401 | … `error="insufficient_user_authentication", acr_values="mfa", max_age="900"` |
//! | a path with several readings, or a client's own claim header where rules match on the route | 400 | |
//! | no rule, or a claim that its header cannot carry | 403 | |
//! | no keys, no revocation list, too many requests waiting | 503 | none, but `Retry-After` |
//!
//! The realm is the name of the instance, never text from the client. `scope` lists all scopes of the rule; it is
//! absent if the rule has none and a claim is missing.

use bytes::Bytes;

use super::decision::{Decision, Verdict};
use super::reason::{ErrorClass, Reason};
use super::rule::Conditions;
use super::scope::Scope;
use super::step_up::StepUp;
use super::{JwtAuth, RuleId};
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;

const WWW_AUTHENTICATE: Bytes = Bytes::from_static(b"www-authenticate");
const CACHE_CONTROL: Bytes = Bytes::from_static(b"cache-control");
const RETRY_AFTER: Bytes = Bytes::from_static(b"retry-after");

const INVALID_ARGUMENT: u32 = 3;
const PERMISSION_DENIED: u32 = 7;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

impl JwtAuth {
    /// The response to a refused request; `None` for any other.
    pub fn reply(&self, decision: &Decision) -> Option<Reply> {
        let Verdict::Refused(reason) = decision.verdict else {
            return None;
        };
        let class = reason.error_class();
        let (status, grpc_status, body) = match class {
            ErrorClass::Authenticate => (401, UNAUTHENTICATED, "Authentication required\n"),
            ErrorClass::InvalidToken => (401, UNAUTHENTICATED, "Invalid token\n"),
            ErrorClass::StepUp => (401, UNAUTHENTICATED, "Stronger authentication required\n"),
            ErrorClass::InvalidRequest | ErrorClass::BadRequest => {
                (400, INVALID_ARGUMENT, "Bad request\n")
            }
            ErrorClass::InsufficientScope | ErrorClass::Forbidden => {
                (403, PERMISSION_DENIED, "Forbidden\n")
            }
            ErrorClass::Unavailable => (503, UNAVAILABLE, "Authentication unavailable\n"),
        };
        let header = match class {
            ErrorClass::Unavailable => Some((RETRY_AFTER, retry_after(decision.retry_after))),
            _ => self
                .challenge(class, decision.rule)
                .map(|challenge| (WWW_AUTHENTICATE, challenge)),
        };
        let header = header.map(|(name, value)| (name, Bytes::from(value)));
        let no_store = (CACHE_CONTROL, Bytes::from_static(b"no-store"));
        Some(Reply {
            status,
            grpc_status: Some(grpc_status),
            details: self.details(decision.rule, reason),
            headers: header.into_iter().chain([no_store]).collect(),
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    fn details(&self, rule: Option<RuleId>, reason: Reason) -> Bytes {
        let details = match rule {
            Some(rule) => self.details.get(rule.0),
            None => self.details.last(),
        };
        details
            .map(|details| details.of(reason))
            .unwrap_or_default()
    }

    fn challenge(&self, class: ErrorClass, rule: Option<RuleId>) -> Option<String> {
        let requirement = rule.and_then(|id| self.rules.get(id.0)?.requirement.as_ref());
        let conditions = requirement.map(|requirement| &requirement.conditions);
        let (error, more) = match class {
            ErrorClass::Authenticate => (None, String::new()),
            ErrorClass::InvalidRequest => (Some("invalid_request"), String::new()),
            ErrorClass::InvalidToken => (Some("invalid_token"), String::new()),
            ErrorClass::InsufficientScope => (
                Some("insufficient_scope"),
                conditions.map(scope).unwrap_or_default(),
            ),
            ErrorClass::StepUp => {
                let step_up = conditions.and_then(|conditions| conditions.step_up.as_ref());
                (
                    Some("insufficient_user_authentication"),
                    step_up.map(StepUp::parameters).unwrap_or_default(),
                )
            }
            ErrorClass::BadRequest | ErrorClass::Forbidden | ErrorClass::Unavailable => {
                return None;
            }
        };
        let error = error
            .map(|error| format!(", error=\"{error}\""))
            .unwrap_or_default();
        Some(format!("Bearer realm=\"{}\"{error}{more}", self.name))
    }
}

fn scope(conditions: &Conditions) -> String {
    let scopes: Vec<&str> = conditions.scopes.iter().map(Scope::as_str).collect();
    match scopes.is_empty() {
        true => String::new(),
        false => format!(", scope=\"{}\"", scopes.join(" ")),
    }
}

/// Whole seconds, at least one.
fn retry_after(wait: Nanos) -> String {
    wait.ceil_secs().max(1).to_string()
}
