//! The configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::claim_headers::{ClaimHeader, two_spellings};
use super::issuer::Issuer;
use super::place::Place;
use super::provider::Provider;
use super::reroute;
use super::rule::{Require, Rule};
use crate::revocation;
use portcullis_core::config::{BoundedInteger, Mode, Name, NamedList, OnError};
use portcullis_core::readings::is_spelling_of;

/// The rule label of requests that no rule matches.
pub(super) const NO_RULE: &str = "unmatched";

/// Configuration of the jwt-auth plugin.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub struct Config {
    /// Instance name, used in metrics and as the realm of challenges.
    pub name: Name,
    pub(super) mode: Mode,
    pub(super) on_error: OnError,
    pub(super) providers: BTreeMap<Name, Provider>,
    pub(super) rules: Vec<Rule>,
    pub(super) unmatched: Unmatched,
    pub(super) ambiguous: Ambiguous,
    pub(super) bypass_cors_preflight: bool,
    pub(super) stable_routes: Option<bool>,
    pub(super) revocation: revocation::RevocationConfig,
    pub(super) cache: Cache,
}

/// Configuration of the jwt-auth plugin.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "jwt-auth", inline)
)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Instance name, used in metrics and as the realm of challenges. Instances with the same name and `vm_id` share
    /// the keys that they fetch.
    #[serde(default)]
    name: Name,
    /// `enforce`; `shadow`: decide, count and mark, but let every request pass; `off`.
    #[serde(default)]
    mode: Mode,
    /// Result when Envoy does not provide what the verdict depends on (headers, route, time), and for tokens while no
    /// revocation list has arrived yet. It never replaces a key: a token without a verified signature does not pass.
    /// Default: `deny`.
    #[serde(default = "deny")]
    on_error: OnError,
    /// Token issuers, under names that you choose.
    #[serde(default)]
    providers: BTreeMap<Name, Provider>,
    /// The tokens that requests need. The first rule that matches decides.
    #[serde(deserialize_with = "rules")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    rules: Vec<Rule>,
    /// Treatment of requests that no rule matches. Default: `deny`.
    #[serde(default)]
    unmatched: Unmatched,
    /// Treatment of a request whose path leads to different rules, depending on how a server reads it. Default:
    /// `deny`.
    #[serde(default)]
    ambiguous: Ambiguous,
    /// Whether CORS preflights pass without a token. Set `false` if Envoy's own CORS filter comes first and answers
    /// them. Default: `true`.
    #[serde(default = "yes")]
    bypass_cors_preflight: bool,
    /// `true` asserts that no route in Envoy matches on anything that this plugin changes in a request: claim headers,
    /// and the headers, cookies and query parameters that hold tokens. `false`: some routes do, so requests in which
    /// the client sends a claim header are refused. Default: as `false` if a rule matches on the route; otherwise such
    /// headers are removed.
    stable_routes: Option<bool>,
    /// Tokens that are no longer accepted.
    #[serde(default)]
    revocation: revocation::RevocationConfig,
    /// The cache of verified tokens.
    #[serde(default)]
    cache: Cache,
}

fn yes() -> bool {
    true
}

fn deny() -> OnError {
    OnError::Deny
}

/// Treatment of requests that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unmatched {
    /// The request is denied with status 403.
    #[default]
    Deny,
    /// The request passes.
    Allow,
}

/// Treatment of a request whose path leads to different rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Ambiguous {
    /// The request is refused with status 400.
    #[default]
    Deny,
    /// The request must meet all of these rules.
    Strictest,
}

/// The cache of verified tokens, one in each worker.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    /// Number of verified tokens of 2 KiB that each worker can remember, at most 100000; larger tokens take more
    /// space. 0: no cache. Default: 1000.
    pub(super) tokens: BoundedInteger<0, 100_000>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            tokens: const { BoundedInteger::new(1_000) },
        }
    }
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    let rules = RULES.read(deserializer, |rule: &Rule| &rule.name)?;
    match rules.iter().any(|rule| rule.name.as_str() == NO_RULE) {
        false => Ok(rules),
        true => Err(de::Error::custom(format!(
            "found a rule named {NO_RULE:?}; expected another name: in metrics, this one stands for \
             requests that no rule matches"
        ))),
    }
}

const RULES: NamedList = NamedList {
    one: "a rule",
    several: "rules",
    shown_in: "metrics",
};

impl TryFrom<Fields> for Config {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        check_providers(&fields.providers)?;
        for rule in &fields.rules {
            check_rule(rule, &fields.providers)
                .map_err(|error| format!("rule {:?}: {error}", rule.name.as_str()))?;
        }
        if fields.stable_routes != Some(true) {
            reroute::check(&fields.rules, &fields.providers, fields.unmatched)?;
        }
        Ok(Self {
            name: fields.name,
            mode: fields.mode,
            on_error: fields.on_error,
            providers: fields.providers,
            rules: fields.rules,
            unmatched: fields.unmatched,
            ambiguous: fields.ambiguous,
            bypass_cors_preflight: fields.bypass_cors_preflight,
            stable_routes: fields.stable_routes,
            revocation: fields.revocation,
            cache: fields.cache,
        })
    }
}

/// Checks the providers against each other.
fn check_providers(providers: &BTreeMap<Name, Provider>) -> Result<(), String> {
    let mut issuers = BTreeMap::new();
    for (name, provider) in providers {
        let is_named = provider.issuer != Issuer::Any;
        if is_named && let Some(other) = issuers.insert(&provider.issuer, name) {
            return Err(format!(
                "found providers {:?} and {:?} with the same \"issuer\"; expected each issuer once: \
                 it selects the keys that verify a token",
                other.as_str(),
                name.as_str()
            ));
        }
        let all = || providers.values();
        let sources = || all().flat_map(|other| other.from.iter().filter_map(Place::header_name));
        if let Some(header) = provider
            .headers()
            .find(|header| sources().any(|source| header.is_spelled(source)))
        {
            return Err(format!(
                "found provider {:?} that sets the header {:?}, which is also a place for tokens; expected \
                 another header: the plugin removes this one if a client sends it",
                name.as_str(),
                header.as_str()
            ));
        }
        for header in provider.headers() {
            let mut others = all().flat_map(Provider::headers);
            let is_alike =
                |other: &&ClaimHeader| *other != header && other.is_spelled(header.as_str());
            if let Some(other) = others.find(is_alike) {
                return Err(two_spellings(header, other));
            }
        }
        for source in provider.from.iter().filter_map(Place::header_name) {
            let is_alike =
                |other: &&str| *other != source && is_spelling_of(other.as_bytes(), source);
            if let Some(other) = sources().find(is_alike) {
                return Err(format!(
                    "found the headers {source:?} and {other:?} in \"from\"; expected one of them: the \
                     plugin refuses a token under another spelling of its header"
                ));
            }
        }
    }
    Ok(())
}

/// Checks a rule against the providers.
fn check_rule(rule: &Rule, providers: &BTreeMap<Name, Provider>) -> Result<(), String> {
    let headers = || providers.values().flat_map(Provider::headers);
    if let Some(condition) = &rule.condition
        && let Some(header) = headers().find(|header| condition.looks_at(header.as_str()))
    {
        return Err(format!(
            "found a match on the header {:?}; expected another header: a provider sets this one, and \
             the plugin removes it if a client sends it",
            header.as_str()
        ));
    }
    let mut required = Vec::new();
    for name in rule.require.tokens().into_iter().flatten() {
        let provider = providers.get(name).ok_or_else(|| {
            let names: Vec<&str> = providers.keys().map(Name::as_str).collect();
            format!(
                "found provider {:?} in \"require\"; expected one of: {}",
                name.as_str(),
                names.join(", ")
            )
        })?;
        required.push((name, provider));
    }
    if let Require::Any(names) = &rule.require
        && names.len() > 1
        && let Some((name, _)) = required
            .iter()
            .find(|(_, provider)| provider.issuer == Issuer::Any)
    {
        return Err(format!(
            "found {:?}, which has no \"issuer\", in \"any\" with other providers; expected \
             {{\"provider\": {:?}}}: without an issuer, a token does not say which provider it belongs to",
            name.as_str(),
            name.as_str()
        ));
    }
    match rule.require.tokens().len() {
        0 | 1 => Ok(()),
        _ => check_all(&required),
    }
}

/// Several tokens of one request must be in different places and set different headers.
fn check_all(required: &[(&Name, &Provider)]) -> Result<(), String> {
    for (i, (name, provider)) in required.iter().enumerate() {
        for (other_name, other) in required.iter().take(i) {
            let both = format!("{:?} and {:?}", other_name.as_str(), name.as_str());
            if provider.from.iter().any(|place| other.from.contains(place)) {
                return Err(format!(
                    "found {both} in \"all\" with a common place in \"from\"; expected different places: \
                     each provider has its own token"
                ));
            }
            let mut headers = provider.headers();
            if let Some(header) =
                headers.find(|header| other.headers().any(|taken| taken == *header))
            {
                return Err(format!(
                    "found {both} in \"all\", which both set the header {:?}; expected different \
                     headers",
                    header.as_str()
                ));
            }
        }
    }
    Ok(())
}
