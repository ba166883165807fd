//! Security headers on responses, attributes on cookies, and refusal of cross-site requests.
//!
//! # Selection
//!
//! The first rule whose `match` fits the request is selected; its fields override those of the top
//! level, field by field. A request that no rule fits gets the top level as it is; so does a
//! response whose request was never seen. In metrics that case is the rule `none`.
//!
//! One field is not overridden but merged: the entries of a rule's `headers` are added to those of
//! the top level, and take their place where they name the same header. Whoever sets one header on
//! `/logout` does not mean to lose the others (nginx's `add_header` made that trap famous).
//!
//! Everything is computed when the configuration is read. What is left for a response is to look
//! which headers it has.
//!
//! # Response headers
//!
//! In this order:
//!
//! 1. **Removal.** The headers that the preset removes go away, always.
//! 2. **Defaults.** The preset's headers are added, with those of `csp`, `hsts`,
//!    `permissions_policy`, `cross_origin` and `reporting_endpoints` in place of the preset's of the
//!    same kind. A default yields to a header of the same name that the upstream set, since the
//!    upstream knows its pages best; that is counted. With `override_upstream` it replaces whatever
//!    was there, and exactly one line remains.
//! 3. **`headers`**, entry by entry (see [`HeaderMutation`]). They win over everything: a header
//!    that is set, set if absent, or removed here has no default.
//! 4. **Cookies** (see [`Cookies`]).
//!
//! All of it applies to every response, whatever its status and content type: an error page is a
//! page too, a response without content type is sniffed, and SVG, XML and PDF run scripts as well.
//!
//! HSTS is sent over TLS only, as RFC 6797 demands. Whether the connection is TLS is told by the
//! caller; `assume_tls` is for an Envoy behind something else that terminates TLS.
//!
//! # Content-Security-Policy
//!
//! `csp.directives` replaces the preset's policy as a whole, and is checked when it is read (see
//! [`Csp`]). There is never more than one policy of ours, because browsers apply several policies
//! one after the other, and what one forbids the next cannot allow again. For the same reason
//! `headers` cannot append to it.
//!
//! ## Nonces
//!
//! `'nonce'` stands for a nonce of 128 random bits, in base64url without padding, fresh for each
//! request. The upstream learns it from the request header `x-csp-nonce` and writes it into its
//! `<script nonce="…">`. A client's own `x-csp-nonce` never reaches an upstream that may rely on
//! it: it is replaced, and where the selected rule has no nonce but another one has, removed.
//!
//! Two cases need care:
//!
//! * A **304** carries no policy with a nonce. Its headers would replace those that the browser has
//!   stored with the page, and the stored page carries the stored nonce.
//! * Where there is **no nonce** (the request was not seen, or there was no randomness), the policy
//!   is sent without its nonce sources, and a list that becomes empty says `'none'`: nothing that
//!   needs a nonce can run then.
//!
//! # Cross-site requests
//!
//! See [`CrossSite`]. A refused request is answered with 403; the answer gets its headers like any
//! other response.
//!
//! # Modes
//!
//! `enforce` acts. `shadow` decides and counts what it would do, but changes neither request nor
//! response. `off` does nothing.

mod config;
mod cookies;
mod cross_origin;
mod cross_site;
mod csp;
mod defaults;
mod hsts;
mod mutation;
mod nonce;
mod origin;
mod permissions_policy;
mod plan;
mod preset;
mod reporting_endpoints;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use config::{Config, Rule};
pub use cookies::Cookies;
pub use cross_origin::CrossOrigin;
pub use cross_site::{CrossSite, Reason, Refusal};
pub use csp::Csp;
pub use hsts::Hsts;
pub use mutation::HeaderMutation;
pub use nonce::Nonce;
pub use permissions_policy::PermissionsPolicy;
pub use preset::Preset;
pub use reporting_endpoints::ReportingEndpoints;

use crate::config::{Mode, Name, OnError};
use crate::headers::HeaderMap;
use crate::matcher::{Choice, Match, Subject};
use crate::reply::Reply;
use plan::Plan;

/// The label of what no rule was selected for; no rule can have this name.
const NO_RULE: &str = "none";
/// The request header that tells the upstream its nonce.
const NONCE_HEADER: Bytes = Bytes::from_static(b"x-csp-nonce");

/// The policy, compiled.
///
/// For each exchange: [`select`](Self::select) a rule, then [`on_request`](Self::on_request) and
/// [`on_response`](Self::on_response) for that rule. The `needs_…` methods tell what the caller can
/// spare itself.
#[derive(Debug)]
pub struct SecurityHeaders {
    preset: Preset,
    on_error: OnError,
    /// The top level as it is.
    unmatched: Plan,
    rules: Vec<CompiledRule>,
    /// Whether any upstream may rely on the nonce header.
    uses_nonces: bool,
}

#[derive(Debug)]
struct CompiledRule {
    name: Name,
    condition: Match,
    plan: Plan,
}

/// A rule of the configuration, or (the default) none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleId(usize);

impl RuleId {
    /// The position in [`SecurityHeaders::rules`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOutcome {
    /// The nonce that the upstream was told; the response needs it.
    pub nonce: Option<Nonce>,
    /// The request came from another site.
    pub refused: Option<Refusal>,
}

/// What came of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseOutcome {
    /// How many headers were left as the upstream had set them.
    pub kept_from_upstream: u32,
    /// How many cookies got an attribute.
    pub cookies_rewritten: u32,
}

impl SecurityHeaders {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let unmatched = Plan::new(&config);
        let rules: Vec<_> = config
            .rules
            .iter()
            .map(|rule| CompiledRule {
                name: rule.name.clone(),
                condition: rule.condition.clone(),
                plan: Plan::new(&config.overridden_by(rule)),
            })
            .collect();
        let uses_nonces =
            unmatched.needs_nonce() || rules.iter().any(|rule| rule.plan.needs_nonce());
        Self {
            preset: config.preset,
            on_error: config.on_error.unwrap_or(OnError::Deny),
            unmatched,
            rules,
            uses_nonces,
        }
    }

    /// The labels of all rules, `none` first; [`RuleId::index`] is the position.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        std::iter::once(NO_RULE).chain(self.rules.iter().map(|rule| rule.name.as_str()))
    }

    /// The answer in place of a request or response that Envoy refused to show or to change; `None` if it
    /// passes: `on_error` is `allow`, or the rule is not enforced. Without a rule, none could be selected:
    /// it is then enough that any is enforced.
    pub fn on_error(&self, rule: Option<RuleId>) -> Option<Reply> {
        let is_enforced = |plan: &Plan| plan.mode == Mode::Enforce;
        let is_enforced = match rule {
            Some(rule) => is_enforced(self.plan(rule)),
            None => {
                let mut rules = self.rules.iter();
                is_enforced(&self.unmatched) || rules.any(|rule| is_enforced(&rule.plan))
            }
        };
        let is_denied = is_enforced && self.on_error == OnError::Deny;
        is_denied.then(|| Reply {
            status: 503,
            grpc_status: None,
            details: "security_headers_unavailable",
            headers: Vec::new(),
            body: "Service unavailable\n".into(),
        })
    }

    /// Whether requests matter at all. If not, every response is that of the default rule.
    pub fn needs_request(&self) -> bool {
        // Without rules there is but one plan.
        !self.rules.is_empty() || self.uses_nonces || self.unmatched.checks_site()
    }

    /// Whether any rule looks at the name of the route.
    pub fn needs_route(&self) -> bool {
        self.rules.iter().any(|rule| rule.condition.needs_route())
    }

    /// The first rule that fits.
    pub fn select(&self, subject: &Subject<'_>) -> RuleId {
        let conditions = self.rules.iter().map(|rule| Some(&rule.condition));
        let choice = Choice::of(conditions, subject);
        // 0 is the case that no rule fits.
        RuleId(choice.certain.map_or(0, |at| at + 1))
    }

    /// Whether nothing is to be done, not even counted.
    pub fn is_off(&self, rule: RuleId) -> bool {
        self.plan(rule).mode == Mode::Off
    }

    /// Whether [`on_request`](Self::on_request) makes a nonce, for which it needs randomness.
    pub fn needs_nonce(&self, rule: RuleId) -> bool {
        self.plan(rule).needs_nonce()
    }

    /// Checks where a request comes from, and gives it its nonce. `random` must be bytes that
    /// nobody can predict, and used once.
    ///
    /// When [`RequestOutcome::refused`] is to be enforced, the request is unchanged.
    pub fn on_request(
        &self,
        rule: RuleId,
        request: &mut HeaderMap,
        random: Option<[u8; 16]>,
    ) -> RequestOutcome {
        let plan = self.plan(rule);
        let refused = plan.check_site(request);
        if plan.mode != Mode::Enforce || refused.is_some_and(|refusal| refusal.enforced) {
            return RequestOutcome {
                nonce: None,
                refused,
            };
        }
        let nonce = random.filter(|_| plan.needs_nonce()).map(Nonce::new);
        match &nonce {
            Some(nonce) => request.set(NONCE_HEADER, Bytes::copy_from_slice(nonce.as_bytes())),
            None if self.uses_nonces => {
                request.remove(NONCE_HEADER);
            }
            None => {}
        }
        RequestOutcome { nonce, refused }
    }

    /// Removes a nonce that a client made up, from a request that passes without another change.
    pub fn remove_nonce(&self, request: &mut HeaderMap) {
        if self.uses_nonces {
            request.remove(NONCE_HEADER);
        }
    }

    /// Whether [`on_response`](Self::on_response) depends on `tls`.
    pub fn needs_tls(&self, rule: RuleId) -> bool {
        self.plan(rule).needs_tls()
    }

    /// Gives a response its headers. `nonce` is that of [`RequestOutcome`]; `tls` says whether the
    /// client's connection is TLS.
    pub fn on_response(
        &self,
        rule: RuleId,
        nonce: Option<&Nonce>,
        tls: bool,
        response: &mut HeaderMap,
    ) -> ResponseOutcome {
        let plan = self.plan(rule);
        match plan.mode {
            Mode::Enforce => plan.apply(nonce, tls, response),
            Mode::Shadow => plan.apply(nonce, tls, &mut response.clone()),
            Mode::Off => ResponseOutcome::default(),
        }
    }

    fn plan(&self, rule: RuleId) -> &Plan {
        let at = rule.0.checked_sub(1);
        at.and_then(|at| self.rules.get(at))
            .map_or(&self.unmatched, |rule| &rule.plan)
    }
}

/// `mode enforce, preset helmet, rules: api, logout`.
impl fmt::Display for SecurityHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.unmatched.mode;
        write!(f, "mode {mode}, preset {}, rules:", self.preset)?;
        for (i, name) in self.rules().skip(1).enumerate() {
            write!(f, "{} {name}", if i > 0 { "," } else { "" })?;
        }
        match self.rules.is_empty() {
            true => f.write_str(" none"),
            false => Ok(()),
        }
    }
}
