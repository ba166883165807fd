//! What is configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::claim_headers::{ClaimHeader, two_spellings};
use super::issuer::Issuer;
use super::place::Place;
use super::provider::Provider;
use super::reroute;
use super::rule::{Require, Rule};
use crate::revocation;
use portcullis_core::config::{Mode, Name, NamedList, OnError};
use portcullis_core::readings::is_spelling_of;

/// The rule label of requests that no rule is for.
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
    /// The name of this instance, in metrics and as the realm of challenges.
    pub name: Name,
    pub(super) mode: Mode,
    pub(super) on_error: OnError,
    pub(super) providers: BTreeMap<Name, Provider>,
    pub(super) rules: Vec<Rule>,
    pub(super) unmatched: Unmatched,
    pub(super) ambiguous: Ambiguous,
    pub(super) bypass_cors_preflight: bool,
    pub(super) stable_routes: Option<bool>,
    pub(super) revocation: revocation::Config,
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
    /// The name of this instance, in metrics and as the realm of challenges. Instances of one name
    /// share the keys that they fetch.
    #[serde(default)]
    name: Name,
    /// Whether to act, only to count and mark, or to do nothing.
    #[serde(default)]
    mode: Mode,
    /// What happens to a request that Envoy does not hand over, and to a token while the revocation
    /// list could not be fetched yet. Default: `deny`. (Without keys, no token is ever accepted.)
    #[serde(default = "deny")]
    on_error: OnError,
    /// The issuers of tokens, by a name of their own.
    #[serde(default)]
    providers: BTreeMap<Name, Provider>,
    /// Which requests need which token. The first one that matches decides.
    #[serde(deserialize_with = "rules")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    rules: Vec<Rule>,
    /// What happens to a request that no rule is for.
    #[serde(default)]
    unmatched: Unmatched,
    /// What happens to a request whose path leads to different rules, depending on how a server reads
    /// it. Default: `deny`.
    #[serde(default)]
    ambiguous: Ambiguous,
    /// Whether CORS preflights pass. `false` where Envoy's own CORS filter stands in front and answers
    /// them. Default: `true`.
    #[serde(default = "yes")]
    bypass_cors_preflight: bool,
    /// `true` asserts that no route of Envoy matches on what this plugin changes in a request: headers of
    /// claims, and the headers, cookies and query parameters that have tokens. `false`: some do, so
    /// requests in which clients send headers of claims are refused. Default: as `false` where a rule
    /// looks at the route; elsewhere such headers are removed.
    stable_routes: Option<bool>,
    /// Tokens that are no longer accepted.
    #[serde(default)]
    revocation: revocation::Config,
    /// The cache of tokens that were verified.
    #[serde(default)]
    cache: Cache,
}

fn yes() -> bool {
    true
}

fn deny() -> OnError {
    OnError::Deny
}

/// What happens to a request that no rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unmatched {
    /// It is denied, with status 403.
    #[default]
    Deny,
    /// It passes.
    Allow,
}

/// What happens to a request whose path leads to different rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Ambiguous {
    /// It is refused, with status 400.
    #[default]
    Deny,
    /// It has to meet all of these rules.
    Strictest,
}

/// The cache of tokens that were verified, in each worker.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    /// How many tokens of 2 KiB there is room for, at most 100000; 0: no cache. Default: 1000.
    pub(super) tokens: CacheTokens,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "u32", inline)
)]
#[serde(try_from = "u64")]
pub(super) struct CacheTokens(pub(super) u32);

const MAX_CACHE_TOKENS: u32 = 100_000;

impl Default for CacheTokens {
    fn default() -> Self {
        Self(1_000)
    }
}

impl TryFrom<u64> for CacheTokens {
    type Error = String;

    fn try_from(tokens: u64) -> Result<Self, String> {
        match u32::try_from(tokens) {
            Ok(tokens) if tokens <= MAX_CACHE_TOKENS => Ok(Self(tokens)),
            _ => Err(format!(
                "found {tokens}; expected a whole number from 0 to {MAX_CACHE_TOKENS}"
            )),
        }
    }
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    let rules = RULES.read(deserializer, |rule: &Rule| &rule.name)?;
    match rules.iter().any(|rule| rule.name.as_str() == NO_RULE) {
        false => Ok(rules),
        true => Err(de::Error::custom(format!(
            "found a rule named {NO_RULE:?}; expected another name: in metrics, this is for requests \
             that no rule is for"
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

/// What has to hold among all providers.
fn check_providers(providers: &BTreeMap<Name, Provider>) -> Result<(), String> {
    let mut issuers = BTreeMap::new();
    for (name, provider) in providers {
        let is_named = provider.issuer != Issuer::Any;
        if is_named && let Some(other) = issuers.insert(&provider.issuer, name) {
            return Err(format!(
                "found providers {:?} and {:?} with the same \"issuer\"; expected each issuer once: \
                 it decides whose keys verify a token",
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
                "found provider {:?} to set the header {:?}, where tokens are looked for; expected \
                 another one: what clients send in it is removed",
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
                    "found the headers {source:?} and {other:?} in \"from\"; expected one of them: a \
                     token under another spelling of its header is refused"
                ));
            }
        }
    }
    Ok(())
}

/// What has to hold between a rule and the providers.
fn check_rule(rule: &Rule, providers: &BTreeMap<Name, Provider>) -> Result<(), String> {
    let headers = || providers.values().flat_map(Provider::headers);
    if let Some(condition) = &rule.condition
        && let Some(header) = headers().find(|header| condition.looks_at(header.as_str()))
    {
        return Err(format!(
            "found a match on the header {:?}; expected another one: this is set by a provider, and \
             what clients send in it is removed",
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
            "found {:?}, which has no \"issuer\", in \"any\" beside others; expected {{\"provider\": {:?}}}: \
             without issuer, nothing says whose token it is",
            name.as_str(),
            name.as_str()
        ));
    }
    match rule.require.tokens().len() {
        0 | 1 => Ok(()),
        _ => check_all(&required),
    }
}

/// Several tokens of one request have to be in different places, and to set different headers.
fn check_all(required: &[(&Name, &Provider)]) -> Result<(), String> {
    for (i, (name, provider)) in required.iter().enumerate() {
        for (other_name, other) in required.iter().take(i) {
            let both = format!("{:?} and {:?}", other_name.as_str(), name.as_str());
            if provider.from.iter().any(|place| other.from.contains(place)) {
                return Err(format!(
                    "found {both} in \"all\", whose \"from\" have a place in common; expected \
                     different ones: each has a token of its own"
                ));
            }
            let mut headers = provider.headers();
            if let Some(header) =
                headers.find(|header| other.headers().any(|taken| taken == *header))
            {
                return Err(format!(
                    "found {both} in \"all\", which both set the header {:?}; expected different \
                     ones",
                    header.as_str()
                ));
            }
        }
    }
    Ok(())
}
