//! Who may come in: requests with a signed token (JWT, RFC 7519) of an issuer that is trusted.
//!
//! # A request's way
//!
//! 1. The first **rule** whose `match` fits decides (a request with several readings: see below). Rules
//!    that are off are not there. Without a rule,
//!    `unmatched` decides.
//! 2. A CORS preflight (Fetch, section 3.2.2: `OPTIONS` with `Origin` and
//!    `Access-Control-Request-Method`, and without `Authorization`, cookies and a body, which browsers never
//!    send with one) passes, unless `bypass_cors_preflight` is `false`.
//! 3. The rule's **tokens** are looked for in the places that its providers name (`from`): one token
//!    for `provider` and `any`, one of each for `all`. A place is looked at whoever's token it may
//!    have, so a second token is never overlooked.
//!    - None at all: `allow_missing`, or refused. Some, but not all: refused.
//!    - Something that is like a token, and is none: refused where a request without one would pass, and
//!      beside a token (see `lookalike.rs`).
//!    - Two, or one in two places: refused (RFC 6750, section 3.1).
//! 4. Each token is verified, below.
//! 5. The rule's **conditions** are checked: `scopes`, `claims`, `step_up`. With `all`, they are about the
//!    token of the first provider, the client's.
//!
//! # A token's way
//!
//! What is cheap comes first, so that junk costs no signature:
//!
//! 1. Is it among the tokens that were verified (see `cache.rs`)? Then only its times are looked at again,
//!    and whether the keys are still usable.
//! 2. Is it among the last bad signatures (see `forgeries.rs`)?
//! 3. Has it only characters that a token has? Is it strictly a signed JWT (see [`jose`](crate::jose))?
//! 4. `iss` names one of the providers that the rule allows in this place; from here on, that provider's
//!    settings and keys count, and no other's.
//! 5. `alg` and `typ` are among those allowed; `times.rs`; `aud`.
//! 6. Is it revoked (see [`revocation`](crate::revocation))?
//! 7. Its key: that of its `kid`; without `kid`, each that fits, if they are few enough (see
//!    [`jose`](crate::jose)).
//! 8. The signature. The first bad one ends the request, so one request costs at most one bad signature
//!    that the module itself verifies, and one good one for each token before it that the rule requires.
//!
//! What is found out before the signature is true of a token that anybody can make. That is why the
//! client is told `invalid_token`, and never what is wrong with it (`reply.rs`).
//!
//! # Waiting
//!
//! A request waits where a document that is to be fetched (see [`remote`](crate::remote)) could change the verdict:
//!
//! | what is missing | until | if it does not come |
//! |---|---|---|
//! | the keys were never fetched, or are too old | there are keys | 503 |
//! | the keys have no such `kid` | there are other keys | refused as an invalid token |
//! | the revocation list was never fetched | there is one | 503; with `on_error: allow` it is not waited for |
//!
//! It waits for the document's `timeout` at most. It does not wait where the next fetch will not be before
//! that, because the last one has just failed; nor, for the sake of an unknown `kid`, where it is not to be
//! at once. In shadow mode nobody waits; the document is fetched all the same. At most so many requests
//! wait as the caller has [`Patience`] for.
//!
//! A token without `jti` cannot be revoked, and does not wait for the list. Nothing that is wanted is in
//! the way of a token that is refused for another reason.
//!
//! # When Envoy refuses
//!
//! Where Envoy does not say what the verdict depends on (the headers, the route that a rule names, the time),
//! `on_error` decides: 503 with `deny`, the default. With `allow` the request passes without claims, and
//! without the claim headers that its client sent. Where Envoy refuses a change, `on_error` is not asked: a
//! request that still bears a made-up claim header, or not the claims of its token, gets 503. A rule that
//! requires nothing is no exception.
//!
//! # Headers
//!
//! - What a client sends in the headers that any provider sets (`claims_to_headers`,
//!   `forward_payload_header`) is removed, in every [spelling](portcullis_core::readings::is_spelling_of), in every
//!   request that passes, also under rules that require nothing, also in shadow mode.
//! - The headers of tokens that are good are set. A token with a claim that its header cannot carry is
//!   refused, see `claim_value.rs`.
//! - A token is taken away from where it was found (see `place.rs`), unless its provider has `forward`, and
//!   not in shadow mode: an upstream that still verifies it goes on to work.
//! - The claims of the client's token are published for the filters behind ([`Decision::claims`]).
//!
//! # Routes
//!
//! What is changed in a request can lead Envoy to another route than the one that was judged. Where rules
//! look at the route, requests and configurations for which that could matter are refused, see `reroute.rs`.
//!
//! # Requests with several readings
//!
//! A rule that asks for less grants, so it must be the first one in every reading of the request (see
//! [`readings`](portcullis_core::readings)). The [choice](portcullis_core::matcher::FirstMatch) of rules has those that may be the
//! first, and the one that surely ends the search.
//!
//! - If there are several and the path can be read in several ways, the request is **ambiguous**: 400
//!   `ambiguous_path`. With `ambiguous: strictest`, it is treated as follows instead.
//! - If there are several for another reason (a method in lower case, a path in another letter case or
//!   without its final slash, which some servers overlook), the request has to meet **each** of them.
//!   So `/ADMIN/x` needs what `/admin/` needs and what the rule for all other paths needs.
//!
//! Where a later rule is written for just the spelling that fits an earlier one loosely (rules for
//! `/docs/` and for `/Docs/`, for `/admin` and for `/admin/`), each is for its own spelling.
//!
//! # Shadow
//!
//! What would be refused passes, marked with [`SHADOW_HEADER`].

mod apply;
mod cache;
mod claim_headers;
mod claim_value;
mod compiled;
mod config;
mod decide;
mod decision;
mod forgeries;
mod issuer;
pub mod jose;
mod keys;
mod lookalike;
mod place;
mod policy;
mod provider;
mod reason;
pub mod remote;
mod reply;
mod reroute;
pub mod revocation;
mod rule;
mod scope;
mod state;
mod step_up;
#[cfg(test)]
mod tests;
mod times;
mod verified;
mod verify;
mod watch;

use std::fmt;

pub use config::Config;
pub use decision::{Decision, Moment, Patience, Verdict};
pub use reason::{Grounds, Reason};
pub use state::{Installed, Look, State};
pub use verify::Verification;

use crate::jose::{KeySet, Skipped};
use crate::remote::Source;
use crate::revocation::Revoked;
use compiled::CompiledRule;
use config::{Ambiguous, NO_RULE, Unmatched};
use keys::Keys;
use portcullis_core::config::{Mode, Name, OnError};
pub use portcullis_core::headers::SHADOW_HEADER;
use provider::Provider;
use reason::Details;

/// The policy, compiled.
///
/// For each request: [`decide`](Self::decide), then [`reply`](Self::reply) if it is refused, else
/// [`apply`](Self::apply). Outside of requests: [`look`](Self::look) at each of the
/// [`remotes`](Self::remotes), and fetch when that says so.
///
/// ```
/// use portcullis_core::config;
/// use portcullis_core::headers::HeaderMap;
/// use jwt_auth_policy::jose::{Hash, HostSignatures};
/// use jwt_auth_policy::{JwtAuth, Moment, Patience};
/// use portcullis_core::matcher::Subject;
/// use portcullis_table::Seed;
///
/// struct NoHost;
/// impl HostSignatures for NoHost {
///     fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
///         None
///     }
/// }
///
/// let config = br#"{
///     "name": "edge",
///     "providers": {"corp": {"issuer": "https://idp.example", "jwks": {"inline": {"keys": [
///         {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
///     ]}}}},
///     "rules": [{"name": "all", "require": {"provider": "corp"}}]
/// }"#;
/// let policy = JwtAuth::new(config::read(config)?);
/// let mut state = policy.state(Seed::new([7; 16]));
///
/// let headers = HeaderMap::default();
/// let subject = Subject::new(&headers, b"");
/// let now = Moment { wall: 1_700_000_000, steady: 1_700_000_000_000_000_000 };
/// let decision = policy.decide(&subject, &mut state, now, Patience::Waited(0), &NoHost);
/// let reply = policy.reply(&decision).ok_or("no reply")?;
/// assert_eq!(reply.status, 401);
/// let challenge = ("www-authenticate".into(), r#"Bearer realm="edge""#.into());
/// assert_eq!(reply.headers.first(), Some(&challenge));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JwtAuth {
    name: Name,
    mode: Mode,
    on_error: OnError,
    providers: Vec<(Name, Provider)>,
    rules: Vec<CompiledRule>,
    ambiguous: Ambiguous,
    bypasses_preflights: bool,
    admits_unmatched: bool,
    /// Whether what a client sends in the headers of claims is refused, and not removed.
    guards_routes: bool,
    /// What any provider sets.
    claim_headers: Vec<String>,
    /// The response-code details, by rule; the last ones are for what no rule is for.
    details: Vec<Details>,
    remotes: Vec<Remote>,
    /// Which of them is the revocation list.
    revocations: Option<RemoteId>,
    revoked: Vec<Revoked>,
    cache_tokens: u32,
}

/// A rule of the configuration that is not off. Its [`index`](Self::index) is the position in
/// [`JwtAuth::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(usize);

impl RuleId {
    /// The position.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A provider of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProviderId(usize);

/// A document that is to be fetched. Its [`index`](Self::index) is the position in
/// [`JwtAuth::remotes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteId(usize);

impl RemoteId {
    /// The position.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A document that is to be fetched.
#[derive(Clone, Debug)]
struct Remote {
    source: Source,
    kind: RemoteKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RemoteKind {
    Keys(ProviderId),
    Revocations,
}

impl JwtAuth {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let providers: Vec<(Name, Provider)> = config.providers.into_iter().collect();
        let key_sets = providers
            .iter()
            .enumerate()
            .filter_map(|(i, (_, provider))| {
                let Keys::Remote(source) = &provider.keys else {
                    return None;
                };
                Some(Remote {
                    source: source.clone(),
                    kind: RemoteKind::Keys(ProviderId(i)),
                })
            });
        let list = config.revocation.remote.map(|source| Remote {
            source,
            kind: RemoteKind::Revocations,
        });
        let remotes: Vec<Remote> = key_sets.chain(list).collect();
        let revocations = remotes
            .iter()
            .position(|remote| remote.kind == RemoteKind::Revocations);
        let mut claim_headers = Vec::new();
        for (_, provider) in &providers {
            for header in provider.headers().map(|header| header.as_str().to_owned()) {
                if !claim_headers.contains(&header) {
                    claim_headers.push(header);
                }
            }
        }
        let rules = config.rules.into_iter();
        let rules: Vec<CompiledRule> = rules
            .filter(|rule| rule.mode != Mode::Off)
            .map(|rule| CompiledRule::new(rule, config.mode, &providers))
            .collect();
        Self {
            name: config.name,
            mode: config.mode,
            on_error: config.on_error,
            guards_routes: match config.stable_routes {
                Some(stable) => !stable,
                None => rules.iter().any(CompiledRule::needs_route),
            },
            details: rules
                .iter()
                .map(|rule| rule.name.as_str())
                .chain([NO_RULE])
                .map(Details::new)
                .collect(),
            rules,
            providers,
            ambiguous: config.ambiguous,
            bypasses_preflights: config.bypass_cors_preflight,
            admits_unmatched: config.unmatched == Unmatched::Allow,
            claim_headers,
            remotes,
            revocations: revocations.map(RemoteId),
            revoked: config.revocation.inline,
            cache_tokens: config.cache.tokens.0,
        }
    }

    /// Whether requests matter at all.
    pub fn needs_request(&self) -> bool {
        self.mode != Mode::Off
    }

    /// Whether the name of the route matters.
    pub fn needs_route(&self) -> bool {
        self.rules.iter().any(CompiledRule::needs_route)
    }

    /// The names of all rules that are not off, and whether they only count; [`RuleId::index`] is the
    /// position.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Mode)> {
        let rules = self.rules.iter();
        rules.map(|rule| (rule.name.as_str(), rule.mode))
    }

    /// The same for what no rule is for.
    pub fn no_rule(&self) -> (&'static str, Mode) {
        (NO_RULE, self.mode)
    }

    /// The name of a rule for metrics, also where there is none.
    pub fn rule_name(&self, rule: Option<RuleId>) -> &str {
        let rule = rule.and_then(|id| self.rules.get(id.0));
        rule.map_or(NO_RULE, |rule| rule.name.as_str())
    }

    /// How often to [`look`](Self::look) at the documents, in nanoseconds; `None` if there are none.
    pub fn period(&self) -> Option<u64> {
        let remotes = self.remotes.iter();
        remotes
            .map(|remote| watch::period(&remote.source.schedule))
            .min()
    }

    /// The documents that are to be fetched: where from, and of which provider the keys are that it
    /// has (`None`: it is the revocation list).
    pub fn remotes(&self) -> impl Iterator<Item = (RemoteId, &Source, Option<&Name>)> {
        self.remotes.iter().enumerate().map(|(i, remote)| {
            let provider = match remote.kind {
                RemoteKind::Keys(id) => self.providers.get(id.0).map(|(name, _)| name),
                RemoteKind::Revocations => None,
            };
            (RemoteId(i), &remote.source, provider)
        })
    }

    /// Entries of key sets in the configuration that are not used, each with the name of its provider.
    pub fn skipped_keys(&self) -> impl Iterator<Item = (&Name, &Skipped)> {
        self.providers.iter().flat_map(|(name, provider)| {
            let set = match &provider.keys {
                Keys::Inline(set) => set.as_ref(),
                Keys::Remote(_) => None,
            };
            let skipped = set.map(KeySet::skipped).unwrap_or_default();
            skipped.iter().map(move |entry| (name, entry))
        })
    }

    fn provider(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(id.0).map(|(_, provider)| provider)
    }

    /// The document with a provider's keys, if they are fetched.
    fn keys_of(&self, id: ProviderId) -> Option<RemoteId> {
        let mut remotes = self.remotes.iter();
        let position = remotes.position(|remote| remote.kind == RemoteKind::Keys(id));
        position.map(RemoteId)
    }
}

/// `mode enforce, providers: corp (remote keys), partner (2 keys), rules: public, default`.
impl fmt::Display for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {}, providers:", self.mode)?;
        for (i, (name, provider)) in self.providers.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {name} (")?;
            match &provider.keys {
                Keys::Remote(source) => write!(f, "keys from {}", source.uri)?,
                Keys::Inline(set) => {
                    let keys = set.as_ref().map_or(0, |set| set.keys().len());
                    write!(f, "{keys} keys")?;
                }
            }
            f.write_str(")")?;
        }
        f.write_str(", rules:")?;
        for (i, rule) in self.rules.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {}", rule.name)?;
            if rule.mode != Mode::Enforce {
                write!(f, " ({})", rule.mode)?;
            }
        }
        Ok(())
    }
}
