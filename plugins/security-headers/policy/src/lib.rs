//! Security headers on responses, attributes on cookies, and refusal of cross-site requests.
//!
//! # Selection
//!
//! The first rule whose `match` fits the request for certain is selected; its fields override those of the
//! top level, field by field. A request that no rule fits gets the top level as it is; so does a
//! response whose request was never seen. In metrics that case is the rule `none`.
//!
//! Rules before it that fit only possibly (see [`matcher`](portcullis_core::matcher)) are selected in some reading of
//! the request. What a rule grants needs all readings, what it restricts needs one:
//!
//! | a rule that | | so a possible rule |
//! |---|---|---|
//! | refuses cross-site requests | restricts | refuses as well |
//! | has `cross_site` off or in shadow, or trusts origins | grants | exempts nothing |
//! | is in `mode` `off` or `shadow` | grants | exempts nothing |
//! | sends a protecting header, or a stricter value | restricts | has the response tightened |
//! | leaves a protecting header out, or sends a weaker value | grants | weakens nothing |
//! | sends a header that allows something (CORS) | grants | adds nothing, and takes it from the response |
//! | adds attributes to cookies | restricts | adds its own |
//! | sends a policy with a nonce | restricts | has the request given a nonce |
//!
//! The response gets the headers of the selected rule, and is then made as strict as each possible rule
//! would have it, header by header (see `strictest`). Metrics count it under the selected rule; a
//! refusal is counted under the rule that refuses.
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
//!    was there, and exactly one line remains. Where there is no default (HSTS without TLS), the upstream's
//!    lines stay.
//! 3. **`headers`**, entry by entry (see [`HeaderMutation`]). They win over everything: a header
//!    that is set, set if absent, or removed here has no default.
//! 4. **Cookies** (see [`Cookies`]).
//!
//! All of it applies to every response but a 304, whatever its status and content type: an error page is a
//! page too, a response without content type is sniffed, and SVG, XML and PDF run scripts as well.
//!
//! ## 304
//!
//! The headers of a 304 take the place of those that the cache has stored with the response (RFC 9111,
//! section 3.2 and 4.3.4), and upstreams need not repeat there what they have stored: Express leaves out all
//! `content-…`. A header that yields to the upstream's must not come in that way. So a 304 gets no
//! default, no `set_if_absent`, no `append` to a header that it does not have, and no
//! `content-security-policy` at all that it does not have; the stored response has them. Those that it
//! brings along are treated as on any response: they yield, or are replaced, or removed.
//!
//! ## Two headers, one question
//!
//! `x-frame-options` and the policy's `frame-ancestors` both say who may frame a page, and browsers look at
//! the former only without the latter. What the upstream forbids in either header stays forbidden, if its
//! header stays (see `framing`). The same goes for `feature-policy`, the former name of
//! `permissions-policy`.
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
//! it: it is replaced, and where the selected rule has no nonce but another one has, removed, whatever the
//! rule's mode. So are headers that only look alike to some servers, such as `x_csp_nonce`.
//!
//! Two cases need care:
//!
//! * A **304** carries no policy with a nonce, even if it replaces the upstream's: the stored page carries
//!   the stored nonce.
//! * Where there is **no nonce** (the request was not seen, or there was no randomness), the policy
//!   is sent without its nonce sources, and a list that becomes empty says `'none'`: nothing that
//!   needs a nonce can run then.
//!
//! # Cross-site requests
//!
//! See [`CrossSite`]. A refused request is answered with 403; the answer gets its headers like any
//! other response.
//!
//! Where any rule checks requests, the presets' `referrer-policy` is `same-origin` in place of
//! `no-referrer`: with the latter browsers send `Origin: null` with a page's own forms (Fetch, "append a
//! request Origin header"), and over plain HTTP nothing else tells where a request comes from.
//!
//! # When Envoy refuses
//!
//! Envoy may refuse to show or to change something (see [`SecurityHeaders::on_error`]): the name of the
//! route that a rule needs, randomness for a nonce, a header. With `on_error: deny`, the default, the request
//! or response is answered with 503; with `allow` it passes with as much as could be done.
//!
//! The default is the strict one because traffic cannot cause such a refusal: a deployment has it for every
//! request or for none. A page without its policy, a cookie without `Secure` and a made-up nonce that reaches
//! the upstream look like success to everybody but an attacker; 503 is found on the first request.
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
mod feature_policy;
mod framing;
mod hsts;
mod mutation;
mod nonce;
mod origin;
mod permissions_policy;
mod plan;
mod policy;
mod preset;
mod reporting_endpoints;
mod request;
mod selection;
mod strictest;
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
pub use request::RequestOutcome;
pub use selection::{RuleId, Selection};

use plan::Plan;
use portcullis_core::config::{Mode, Name, OnError};
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{FirstMatch, Match, Subject};
use portcullis_core::reply::Reply;
use strictest::Lines;

/// The label of what no rule was selected for; no rule can have this name.
const NO_RULE: &str = "none";
/// The policy, compiled.
///
/// For each exchange: [`select`](Self::select) the rules, then [`on_request`](Self::on_request) and
/// [`on_response`](Self::on_response) for them. The `needs_…` methods tell what the caller can
/// spare itself.
#[derive(Debug)]
pub struct SecurityHeaders {
    preset: Preset,
    on_error: OnError,
    /// The top level as it is.
    unmatched: Plan,
    rules: Vec<CompiledRule>,
    /// The response-code details of refusals, by rule.
    refused: Vec<Bytes>,
    /// Whether any upstream may rely on the nonce header.
    uses_nonces: bool,
    /// Whether pages are configured to hide the origin that requests are checked for.
    hides_origins: bool,
}

#[derive(Debug)]
struct CompiledRule {
    name: Name,
    condition: Match,
    plan: Plan,
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
        let configs: Vec<Config> = config
            .rules
            .iter()
            .map(|rule| config.overridden_by(rule))
            .collect();
        let checks_site = std::iter::once(&config)
            .chain(&configs)
            .any(Config::checks_site);
        let hides_origins = std::iter::once(&config)
            .chain(&configs)
            .any(Config::hides_origin);
        let mut unmatched = Plan::new(&config, checks_site);
        let mut rules: Vec<_> = config
            .rules
            .iter()
            .zip(&configs)
            .map(|(rule, config)| CompiledRule {
                name: rule.name.clone(),
                condition: rule.condition.clone(),
                plan: Plan::new(config, checks_site),
            })
            .collect();
        plan::number_kinds(
            std::iter::once(&mut unmatched).chain(rules.iter_mut().map(|rule| &mut rule.plan)),
        );
        let uses_nonces =
            unmatched.needs_nonce() || rules.iter().any(|rule| rule.plan.needs_nonce());
        Self {
            preset: config.preset,
            on_error: config.on_error.unwrap_or(OnError::Deny),
            unmatched,
            refused: request::details_of_refusals(rules.iter().map(|rule| rule.name.as_str())),
            rules,
            uses_nonces,
            hides_origins: checks_site && hides_origins,
        }
    }

    /// The labels of all rules, `none` first; [`RuleId::index`] is the position.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        std::iter::once(NO_RULE).chain(self.rules.iter().map(|rule| rule.name.as_str()))
    }

    /// The answer in place of a request or response that Envoy refused to show or to change; `None` if it
    /// passes: `on_error` is `allow`, or no rule that was selected is enforced. Without a selection it
    /// is enough that any rule is enforced.
    pub fn on_error(&self, selection: Option<&Selection>) -> Option<Reply> {
        let is_enforced = |plan: &Plan| plan.mode == Mode::Enforce;
        let is_enforced = match selection {
            Some(selection) => self.plans(selection).any(is_enforced),
            None => {
                let mut rules = self.rules.iter();
                is_enforced(&self.unmatched) || rules.any(|rule| is_enforced(&rule.plan))
            }
        };
        let is_denied = is_enforced && self.on_error == OnError::Deny;
        is_denied.then(|| Reply {
            status: 503,
            grpc_status: None,
            details: "security_headers_unavailable".into(),
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

    /// The rules that the request may fall under.
    pub fn select(&self, subject: &Subject<'_>) -> Selection {
        let conditions = self.rules.iter().map(|rule| Some(&rule.condition));
        Selection::new(FirstMatch::of(conditions, subject))
    }

    /// Whether nothing is to be done, not even counted.
    pub fn is_off(&self, selection: &Selection) -> bool {
        self.plans(selection).all(|plan| plan.mode == Mode::Off)
    }

    /// Whether [`on_request`](Self::on_request) makes a nonce, for which it needs randomness.
    pub fn needs_nonce(&self, selection: &Selection) -> bool {
        self.plans(selection).any(Plan::needs_nonce)
    }

    /// Whether [`on_response`](Self::on_response) depends on `tls`.
    pub fn needs_tls(&self, selection: &Selection) -> bool {
        self.plans(selection).any(Plan::needs_tls)
    }

    /// Gives a response its headers. `nonce` is that of [`RequestOutcome`]; `tls` says whether the
    /// client's connection is TLS.
    pub fn on_response(
        &self,
        selection: &Selection,
        nonce: Option<&Nonce>,
        tls: bool,
        response: &mut HeaderMap,
    ) -> ResponseOutcome {
        let plan = self.plan(selection.certain());
        if selection.possible().is_empty() {
            return plan.respond(nonce, tls, response);
        }
        let original = HeaderMap::new(response.iter().cloned().collect());
        let lines_of_original = Lines::of(&original);
        let mut copy = HeaderMap::default();
        let mut respond = |plan: &Plan| {
            copy.reset_to(&original);
            let outcome = plan.respond(nonce, tls, &mut copy);
            (Lines::of(&copy), outcome)
        };
        let (mut strictest, outcome) = respond(plan);
        let mut seen = vec![plan.kind];
        for rule in selection.possible() {
            let plan = self.plan(*rule);
            if !seen.contains(&plan.kind) {
                seen.push(plan.kind);
                strictest::join(&mut strictest, &respond(plan).0, &lines_of_original);
            }
        }
        strictest::write(&lines_of_original, &strictest, response);
        outcome
    }

    fn plans(&self, selection: &Selection) -> impl Iterator<Item = &Plan> {
        selection.rules().map(|rule| self.plan(rule))
    }

    fn plan(&self, rule: RuleId) -> &Plan {
        let at = rule.index().checked_sub(1);
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
        if self.rules.is_empty() {
            f.write_str(" none")?;
        }
        if self.hides_origins {
            f.write_str(
                "; referrer-policy no-referrer hides the origin of forms, so over plain HTTP cross_site \
                 refuses a page's own ones: same-origin does not",
            )?;
        }
        Ok(())
    }
}
