//! The top level of the configuration, and its rules.

use serde::{Deserialize, Deserializer, de};

use super::{
    Cookies, CrossOrigin, CrossSite, Csp, HeaderMutation, Hsts, NO_RULE, PermissionsPolicy, Preset,
    ReportingEndpoints,
};
use portcullis_core::config::{Mode, Name, NamedList, OnError};
use portcullis_core::matcher::{Match, without_claims};

/// Configuration of the security-headers plugin.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "security-headers")
)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of this instance, used in metrics. Default: `default`.
    pub name: Name,
    /// `enforce` acts; `shadow` decides and counts, but changes nothing; `off` does nothing. Default: `enforce`.
    pub(super) mode: Mode,
    /// Result when Envoy refuses to provide or change something: `deny` answers 503, `allow` passes the request or
    /// response on with the changes that succeeded. Default: `deny`.
    pub(super) on_error: Option<OnError>,
    /// Set of headers to start from. Default: `helmet`.
    pub(super) preset: Preset,
    /// Replace headers that the upstream set, instead of leaving them as they are. Does not affect `headers`.
    /// Default: false.
    pub(super) override_upstream: bool,
    /// Single headers to set, append or remove. They take precedence over all other fields.
    pub(super) headers: Vec<HeaderMutation>,
    /// `Content-Security-Policy`, replacing the preset's.
    pub(super) csp: Option<Csp>,
    /// `Strict-Transport-Security`, replacing the preset's.
    pub(super) hsts: Option<Hsts>,
    /// `Permissions-Policy`, replacing the preset's.
    pub(super) permissions_policy: Option<PermissionsPolicy>,
    /// `Cross-Origin-Opener-Policy`, `-Embedder-Policy` and `-Resource-Policy`. A missing field keeps the preset's
    /// value.
    pub(super) cross_origin: Option<CrossOrigin>,
    /// `Reporting-Endpoints`.
    pub(super) reporting_endpoints: Option<ReportingEndpoints>,
    /// Attributes to add to the cookies that the upstream sets.
    pub(super) cookies: Option<Cookies>,
    /// Refusal of requests that another site made the browser send. Default: no check.
    pub(super) cross_site: Option<CrossSite>,
    /// Exceptions for some requests. The first rule that matches applies.
    #[serde(deserialize_with = "with_unique_names")]
    pub(super) rules: Vec<Rule>,
}

/// An exception for some requests. Each field replaces the field of the same name at the top level, except that
/// `headers` are added to those of the top level.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name of the rule, used in metrics. `none` is reserved.
    #[serde(deserialize_with = "not_reserved")]
    pub(super) name: Name,
    /// Requests that the rule applies to. Default: all.
    #[serde(rename = "match", default, deserialize_with = "without_claims")]
    #[cfg_attr(feature = "schema", schemars(extend("not" = {"required": ["claims"]})))]
    pub(super) condition: Match,
    /// As at the top level.
    mode: Option<Mode>,
    /// As at the top level, whose other fields stay. If the top level has a `csp` and the rule should use this
    /// preset's own policy, write `"csp": {}` in the rule.
    preset: Option<Preset>,
    /// As at the top level.
    override_upstream: Option<bool>,
    /// Added to those of the top level. If both name the same header, only the rule's entries apply.
    #[serde(default)]
    headers: Vec<HeaderMutation>,
    /// As at the top level.
    csp: Option<Csp>,
    /// As at the top level.
    hsts: Option<Hsts>,
    /// As at the top level.
    permissions_policy: Option<PermissionsPolicy>,
    /// As at the top level.
    cross_origin: Option<CrossOrigin>,
    /// As at the top level.
    reporting_endpoints: Option<ReportingEndpoints>,
    /// As at the top level.
    cookies: Option<Cookies>,
    /// As at the top level.
    cross_site: Option<CrossSite>,
}

impl Config {
    /// Whether cross-site requests are refused or counted.
    pub(super) fn checks_site(&self) -> bool {
        let own = self.cross_site.as_ref().map(|cross_site| cross_site.mode);
        self.mode != Mode::Off && own.is_some_and(|mode| mode != Mode::Off)
    }

    /// Whether `headers` give pages the referrer policy `no-referrer`.
    pub(super) fn hides_origin(&self) -> bool {
        let hides = |header: &HeaderMutation| header.gives("referrer-policy", b"no-referrer");
        self.mode != Mode::Off && self.headers.iter().any(hides)
    }

    /// The configuration for requests that match `rule`.
    pub(super) fn overridden_by(&self, rule: &Rule) -> Self {
        let inherited = self.headers.iter().filter(|ours| {
            rule.headers
                .iter()
                .all(|theirs| theirs.name() != ours.name())
        });
        Self {
            name: self.name.clone(),
            mode: rule.mode.unwrap_or(self.mode),
            on_error: self.on_error,
            preset: rule.preset.unwrap_or(self.preset),
            override_upstream: rule.override_upstream.unwrap_or(self.override_upstream),
            headers: inherited.chain(&rule.headers).cloned().collect(),
            csp: either(&rule.csp, &self.csp),
            hsts: either(&rule.hsts, &self.hsts),
            permissions_policy: either(&rule.permissions_policy, &self.permissions_policy),
            cross_origin: either(&rule.cross_origin, &self.cross_origin),
            reporting_endpoints: either(&rule.reporting_endpoints, &self.reporting_endpoints),
            cookies: either(&rule.cookies, &self.cookies),
            cross_site: either(&rule.cross_site, &self.cross_site),
            rules: Vec::new(),
        }
    }
}

fn either<T: Clone>(first: &Option<T>, second: &Option<T>) -> Option<T> {
    first.as_ref().or(second.as_ref()).cloned()
}

fn not_reserved<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    let name = Name::deserialize(deserializer)?;
    if name.as_str() == NO_RULE {
        return Err(de::Error::custom(format!(
            "found {NO_RULE:?}; expected another name: metrics use this one for requests that match no rule"
        )));
    }
    Ok(name)
}

fn with_unique_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    RULES.read_any(deserializer, |rule: &Rule| &rule.name)
}

const RULES: NamedList = NamedList {
    one: "a rule",
    several: "rules",
    shown_in: "metrics",
};
