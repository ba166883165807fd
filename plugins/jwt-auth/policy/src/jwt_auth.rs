//! The compiled policy.

use super::compiled::CompiledRule;
use super::config::{Ambiguous, Config, NO_RULE, Unmatched};
use super::keys::Keys;
use super::provider::Provider;
use super::reason::Details;
use super::remote_state;
use crate::jose::{KeySet, Skipped};
use crate::remote::Source;
use crate::revocation::Revoked;
use portcullis_core::config::{Mode, Name, OnError};
use portcullis_core::key::Needs;
use portcullis_core::time::Nanos;

/// The compiled policy.
///
/// For each request: [`decide`](Self::decide), then [`reply`](Self::reply) if it is refused, else
/// [`apply`](Self::apply). Between requests: [`poll`](Self::poll) each of the [`remotes`](Self::remotes), and fetch
/// when the poll says so.
///
/// ```
/// use portcullis_core::config;
/// use portcullis_core::headers::HeaderMap;
/// use jwt_auth_policy::jose::{Hash, HostSignatures};
/// use jwt_auth_policy::{JwtAuth, Now, WaitStatus};
/// use portcullis_core::matcher::Subject;
/// use portcullis_core::time::{Nanos, UnixSeconds};
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
/// let now = Now {
///     wall: UnixSeconds::new(1_700_000_000),
///     steady: Nanos::from_secs(1_700_000_000),
/// };
/// let wait_status = WaitStatus::Waited(Nanos::ZERO);
/// let decision = policy.decide(&subject, &mut state, now, wait_status, &NoHost);
/// let reply = policy.reply(&decision).ok_or("no reply")?;
/// assert_eq!(reply.status, 401);
/// let challenge = ("www-authenticate".into(), r#"Bearer realm="edge""#.into());
/// assert_eq!(reply.headers.first(), Some(&challenge));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JwtAuth {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) on_error: OnError,
    pub(super) providers: Vec<(Name, Provider)>,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) ambiguous: Ambiguous,
    pub(super) bypasses_preflights: bool,
    pub(super) admits_unmatched: bool,
    /// Whether claim headers from clients are refused, not removed.
    pub(super) guards_routes: bool,
    /// The headers that any provider sets.
    pub(super) claim_headers: Vec<String>,
    /// The response-code details, by rule; the last ones are for requests that no rule matches.
    pub(super) details: Vec<Details>,
    pub(super) remotes: Vec<Remote>,
    /// The position of the revocation list among them.
    pub(super) revocations: Option<RemoteId>,
    pub(super) revoked: Vec<Revoked>,
    pub(super) cache_tokens: u32,
}

/// A rule of the configuration that is not off. Its [`index`](Self::index) is the position in
/// [`JwtAuth::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(pub(super) usize);

impl RuleId {
    /// The position.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A provider of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProviderId(pub(super) usize);

/// A remote document. Its [`index`](Self::index) is the position in [`JwtAuth::remotes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteId(pub(super) usize);

impl RemoteId {
    /// The position.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A remote document.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) source: Source,
    pub(super) kind: RemoteKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteKind {
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
            cache_tokens: config.cache.tokens.get(),
        }
    }

    /// Whether the policy acts on requests.
    pub fn needs_request(&self) -> bool {
        self.mode != Mode::Off
    }

    /// The parts of a request that a decision depends on, besides its headers.
    pub fn needs(&self) -> Needs {
        let conditions = self.rules.iter().map(|rule| rule.condition.as_ref());
        let needs = conditions.map(|condition| Needs::of(condition, &[]));
        needs.fold(Needs::default(), Needs::and)
    }

    /// The names and modes of all rules that are not off; [`RuleId::index`] is the position.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Mode)> {
        let rules = self.rules.iter();
        rules.map(|rule| (rule.name.as_str(), rule.mode))
    }

    /// The same for requests that no rule matches.
    pub fn no_rule(&self) -> (&'static str, Mode) {
        (NO_RULE, self.mode)
    }

    /// The name of a rule in metrics, or the one for requests that no rule matches.
    pub fn rule_name(&self, rule: Option<RuleId>) -> &str {
        let rule = rule.and_then(|id| self.rules.get(id.0));
        rule.map_or(NO_RULE, |rule| rule.name.as_str())
    }

    /// Time between two [polls](Self::poll) of the remote documents; `None` without any.
    pub fn poll_period(&self) -> Option<Nanos> {
        let remotes = self.remotes.iter();
        remotes
            .map(|remote| remote_state::poll_period(&remote.source.schedule))
            .min()
    }

    /// The remote documents: source, and the provider whose keys the document holds (`None`: it is the revocation
    /// list).
    pub fn remotes(&self) -> impl Iterator<Item = (RemoteId, &Source, Option<&Name>)> {
        self.remotes.iter().enumerate().map(|(i, remote)| {
            let provider = match remote.kind {
                RemoteKind::Keys(id) => self.providers.get(id.0).map(|(name, _)| name),
                RemoteKind::Revocations => None,
            };
            (RemoteId(i), &remote.source, provider)
        })
    }

    /// The unusable entries of inline key sets, each with the name of its provider.
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

    pub(super) fn provider(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(id.0).map(|(_, provider)| provider)
    }

    /// The document with a provider's keys, if they are remote.
    pub(super) fn keys_of(&self, id: ProviderId) -> Option<RemoteId> {
        let mut remotes = self.remotes.iter();
        let position = remotes.position(|remote| remote.kind == RemoteKind::Keys(id));
        position.map(RemoteId)
    }
}
