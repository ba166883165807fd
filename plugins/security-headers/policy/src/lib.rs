//! Security headers on responses, attributes on cookies, and refusal of cross-site requests.
//!
//! # Selection
//!
//! The first rule whose `match` certainly fits the request is selected; its fields override those of the top
//! level, field by field. If no rule fits, or the plugin never saw the request, the top level applies as it is. In
//! metrics, that case is the rule `none`.
//!
//! Earlier rules that only possibly fit (see [`matcher`](portcullis_core::matcher)) are selected in some reading of
//! the request. A grant needs all readings, a restriction needs one:
//!
//! | a rule that | | so a possible rule |
//! |---|---|---|
//! | refuses cross-site requests | restricts | refuses as well |
//! | has `cross_site` off or in shadow, or trusts origins | grants | exempts nothing |
//! | is in `mode` `off` or `shadow` | grants | exempts nothing |
//! | sends a protecting header, or a stricter value | restricts | tightens the response |
//! | leaves a protecting header out, or sends a weaker value | grants | weakens nothing |
//! | sends a header that allows something (CORS) | grants | adds nothing, and removes the header from the response |
//! | adds attributes to cookies | restricts | adds its own |
//! | sends a policy with a nonce | restricts | gives the request a nonce |
//!
//! The response gets the headers of the selected rule. Then each header becomes as strict as each possible rule
//! would make it (see `strictest`). Metrics count the response under the selected rule, and a refusal under the
//! rule that refuses.
//!
//! One field is merged instead of overridden: the entries of a rule's `headers` are added to those of the top
//! level, and replace entries that name the same header. A rule that sets one header on `/logout` should not lose
//! the others (nginx's `add_header` made that trap famous).
//!
//! The policy computes everything it can when it reads the configuration. For a response, it only has to check
//! which headers are present.
//!
//! # Response headers
//!
//! In this order:
//!
//! 1. **Removal.** The headers that the preset removes are removed, always.
//! 2. **Defaults.** The preset's headers are added, with those of `csp`, `hsts`, `permissions_policy`,
//!    `cross_origin` and `reporting_endpoints` in place of the preset's headers of the same kind. A default yields
//!    to a header of the same name that the upstream set, since the upstream knows its pages best; a metric counts
//!    this. With `override_upstream`, the default replaces all lines of the upstream, and exactly one line remains.
//!    If there is no default (HSTS without TLS), the upstream's lines stay.
//! 3. **`headers`**, entry by entry (see [`HeaderMutation`]). They take precedence over everything: a header that
//!    they set, set if absent, or remove has no default.
//! 4. **Cookies** (see [`Cookies`]).
//!
//! All of this applies to every response but a 304, whatever its status and content type: an error page is a page
//! too, browsers sniff a response without content type, and SVG, XML and PDF run scripts as well.
//!
//! ## 304
//!
//! The headers of a 304 replace those that the cache has stored with the response (RFC 9111, sections 3.2 and
//! 4.3.4), and upstreams need not repeat what they have sent before: Express leaves out all `content-…`. A header
//! that yields to the upstream's must not enter the cache this way. So a 304 gets no default and no
//! `set_if_absent`, and no `append` and no `content-security-policy` unless it has the header already; the stored
//! response has those headers. Headers that the 304 does have are treated as on any response: they yield, are
//! replaced, or are removed.
//!
//! ## Overlapping headers
//!
//! `x-frame-options` and the policy's `frame-ancestors` both control who may frame a page, and browsers read the
//! former only without the latter. If the upstream's header stays, everything that it forbids stays forbidden (see
//! `frame_ancestors`). The same applies to `feature-policy`, the former name of `permissions-policy`.
//!
//! HSTS is sent over TLS only, as RFC 6797 requires. The caller says whether the connection uses TLS; `assume_tls`
//! is for an Envoy behind a component that terminates TLS.
//!
//! # Content-Security-Policy
//!
//! `csp.directives` replaces the preset's whole policy, and is checked when it is read (see [`Csp`]). The plugin
//! never sends more than one policy of its own, because browsers enforce every policy, and a second one cannot
//! allow what the first forbids. For the same reason, `headers` cannot append to it.
//!
//! ## Nonces
//!
//! `'nonce'` stands for a nonce of 128 random bits, in base64url without padding, fresh for each request. The
//! upstream reads it from the request header `x-csp-nonce` and writes it into its `<script nonce="…">`. A client's
//! own `x-csp-nonce` never reaches an upstream that may rely on it: the plugin replaces it, and if the selected rule
//! has no nonce but another one has, removes it, whatever the rule's mode. The same goes for names that some servers
//! read as this header, such as `x_csp_nonce`.
//!
//! Two cases need care:
//!
//! * A **304** carries no policy with a nonce, even if it replaces the upstream's: the stored page has the stored
//!   nonce.
//! * If there is **no nonce** (the plugin did not see the request, or had no randomness), the policy is sent
//!   without its nonce sources, and a list that becomes empty says `'none'`: nothing that needs a nonce runs then.
//!
//! # Cross-site requests
//!
//! See [`CrossSite`]. A refused request gets a 403 with the same headers as any other response.
//!
//! If any rule checks requests, the presets send `referrer-policy: same-origin` instead of `no-referrer`. With
//! `no-referrer`, browsers send `Origin: null` with a page's own forms (Fetch, "append a request Origin header"), and
//! over plain HTTP no other header shows where a request comes from.
//!
//! # When Envoy refuses
//!
//! Envoy may refuse to provide or change something (see [`SecurityHeaders::on_error`]): the route name that a rule
//! needs, randomness for a nonce, a header. With `on_error: deny`, the default, the request or response is answered
//! with 503. With `allow`, it passes with the changes that succeeded.
//!
//! The default is the strict one because traffic cannot cause such a refusal: it affects every request of a
//! deployment, or none. A page without its policy, a cookie without `Secure` and a forged nonce that reaches the
//! upstream look like success to everyone but an attacker; a 503 shows on the first request.
//!
//! # Modes
//!
//! `enforce` acts. `shadow` decides and counts, but changes neither request nor response. `off` does nothing.

mod config;
mod cookies;
mod cross_origin;
mod cross_site;
mod csp;
mod defaults;
mod feature_policy;
mod frame_ancestors;
mod hsts;
mod lines;
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
use portcullis_core::key::Needs;
use portcullis_core::matcher::{FirstMatch, Match, Subject};
use portcullis_core::reply::Reply;
use strictest::HeaderLines;

/// The label of exchanges that match no rule; no rule can have this name.
const NO_RULE: &str = "none";

/// The policy, compiled.
///
/// For each exchange: [`select`](Self::select) the rules, then [`on_request`](Self::on_request) and
/// [`on_response`](Self::on_response) for them. The `needs_…` methods say which steps the caller can skip.
#[derive(Debug)]
pub struct SecurityHeaders {
    preset: Preset,
    on_error: OnError,
    /// The plan of the top level.
    unmatched: Plan,
    rules: Vec<CompiledRule>,
    /// Response-code details of refusals, by rule.
    refused: Vec<Bytes>,
    /// Whether any upstream may rely on the nonce header.
    uses_nonces: bool,
    /// Whether the configuration makes pages hide the origin that the cross-site check reads.
    hides_origins: bool,
}

#[derive(Debug)]
struct CompiledRule {
    name: Name,
    condition: Match,
    plan: Plan,
}

/// The result of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseOutcome {
    /// The number of headers left as the upstream had set them.
    pub kept_from_upstream: u32,
    /// The number of cookies that got an attribute.
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
        plan::assign_response_classes(
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

    /// The labels of all rules by [`RuleId::index`], `none` first.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        std::iter::once(NO_RULE).chain(self.rules.iter().map(|rule| rule.name.as_str()))
    }

    /// The reply in place of a request or response that Envoy refused to provide or change; `None` if it passes:
    /// `on_error` is `allow`, or no selected rule is enforced. Without a selection, any enforced rule is enough for a
    /// reply.
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

    /// Whether [`select`](Self::select) and [`on_request`](Self::on_request) do anything. If not, the default
    /// selection applies to every response.
    pub fn needs_request(&self) -> bool {
        // Without rules, there is only one plan.
        !self.rules.is_empty() || self.uses_nonces || self.unmatched.checks_site()
    }

    /// The parts of a request that the choice of a rule depends on, besides its headers.
    pub fn needs(&self) -> Needs {
        let needs = self
            .rules
            .iter()
            .map(|rule| Needs::of(Some(&rule.condition), &[]));
        needs.fold(Needs::default(), Needs::and)
    }

    /// The rules that certainly or possibly fit the request.
    pub fn select(&self, subject: &Subject<'_>) -> Selection {
        let conditions = self.rules.iter().map(|rule| Some(&rule.condition));
        Selection::new(FirstMatch::of(conditions, subject))
    }

    /// Whether all selected rules are off, so that the response is not even counted.
    pub fn is_off(&self, selection: &Selection) -> bool {
        self.plans(selection).all(|plan| plan.mode == Mode::Off)
    }

    /// Whether [`on_request`](Self::on_request) creates a nonce, for which it needs randomness.
    pub fn needs_nonce(&self, selection: &Selection) -> bool {
        self.plans(selection).any(Plan::needs_nonce)
    }

    /// Whether [`on_response`](Self::on_response) depends on `tls`.
    pub fn needs_tls(&self, selection: &Selection) -> bool {
        self.plans(selection).any(Plan::needs_tls)
    }

    /// Gives a response its headers. `nonce` is the one in [`RequestOutcome`]; `tls` says whether the client's
    /// connection uses TLS.
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
        let original = response.without_changes();
        let lines_of_original = HeaderLines::of(&original);
        let mut copy = HeaderMap::default();
        let mut respond = |plan: &Plan| {
            copy.reset_to(&original);
            let outcome = plan.respond(nonce, tls, &mut copy);
            (HeaderLines::of(&copy), outcome)
        };
        let (mut strictest, outcome) = respond(plan);
        let mut seen = vec![plan.response_class];
        for rule in selection.possible() {
            let plan = self.plan(*rule);
            if !seen.contains(&plan.response_class) {
                seen.push(plan.response_class);
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
                "; referrer-policy no-referrer hides the origin of forms, so cross_site refuses a page's own \
                 forms over plain HTTP: use same-origin",
            )?;
        }
        Ok(())
    }
}
