//! The state that one worker keeps between requests.

use super::bad_signatures::BadSignatureCache;
use super::remote_state::{RemoteEvent, RemoteState};
use super::token_cache::TokenCache;
use super::verified::Verified;
use super::{JwtAuth, ProviderId, RemoteId, RemoteKind};
use crate::jose::{HeaderCache, KeySet};
use crate::remote::{Ticket, View};
use crate::revocation::RevocationList;
use portcullis_core::time::{Nanos, UnixSeconds};
use portcullis_table::{Edit, KeyHash, KeyHasher, Seed};

/// The number of characters at the end of a token that are hashed. They hold three quarters as many bytes of its
/// signature. The shortest signatures have 43 characters.
const END: usize = 64;

/// The state of one worker: fetched keys and lists, and verified tokens.
#[derive(Debug)]
pub struct State {
    seed: Seed,
    /// By [`RemoteId`].
    pub(super) remotes: Vec<RemoteState>,
    /// By [`ProviderId`]; the configuration's own keys are not here.
    pub(super) key_sets: Vec<Option<KeySet>>,
    /// From the configuration and, once it has arrived, from the server.
    pub(super) revoked: RevocationList,
    pub(super) tokens: TokenCache,
    pub(super) bad_signatures: BadSignatureCache,
    pub(super) header_cache: HeaderCache,
    /// The document that was fetched and parsed last, until it is installed.
    prepared: Option<Prepared>,
}

/// A document that is parsed, but not installed. Parsing is a worker's most expensive single step, so the worker
/// that fetches a document parses it only once.
#[derive(Debug)]
struct Prepared {
    remote: RemoteId,
    body: Vec<u8>,
    content: Content,
}

/// The content of a document.
#[derive(Debug)]
enum Content {
    Keys(ProviderId, KeySet),
    Revocations(RevocationList),
}

/// The result of polling a remote document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing changed.
    Unchanged,
    /// A fetch is due, and this worker must start it.
    Fetch(Ticket),
    /// A request needs a fetch, and the [fetcher](Role::Fetcher) must start it.
    Wanted,
    /// This worker has installed a new document. Decide again about the requests that wait.
    Installed(Installed),
    /// The stored document is new, and unusable.
    Rejected(String),
    /// The document that requests wait for will not come soon. Decide again about them.
    Postponed,
}

/// What a worker does about remote documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It starts the fetches that are due.
    Fetcher,
    /// It only reads what a fetcher has fetched.
    Follower,
}

/// A document that a worker has installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The number of keys, or of revoked tokens.
    pub entries: usize,
    /// Its unusable entries, each with the reason.
    pub skipped: Vec<String>,
}

impl State {
    /// Whether the document exists and is not too old.
    pub(super) fn is_usable(&self, remote: RemoteId, now: Nanos) -> bool {
        let remote = self.remotes.get(remote.0);
        remote.is_some_and(|remote| remote.is_usable(now))
    }

    /// Hashes a token together with the providers that may have issued it: for others it may be valid.
    pub(super) fn hash_for(&self, token: &[u8], providers: &[ProviderId]) -> KeyHash {
        let mut hasher = KeyHasher::new(&self.seed);
        hasher.part(token);
        for provider in providers {
            hasher.part(&provider.0.to_le_bytes());
        }
        hasher.finish()
    }

    /// Hashes the end of a token, the key of the token cache. Bad tokens need the other hash: anybody can give
    /// one token the end of another.
    pub(super) fn hash_end(&self, token: &[u8]) -> KeyHash {
        let mut hasher = KeyHasher::new(&self.seed);
        hasher.part(token.last_chunk::<END>().map_or(token, |end| &end[..]));
        hasher.finish()
    }
}

impl JwtAuth {
    /// The initial state of a worker. The seed is random.
    pub fn state(&self, seed: Seed) -> State {
        State {
            remotes: self
                .remotes
                .iter()
                .map(|remote| RemoteState::new(remote.source.schedule))
                .collect(),
            key_sets: self.providers.iter().map(|_| None).collect(),
            revoked: RevocationList::inline(&self.revoked, &seed),
            tokens: TokenCache::new(self.cache_tokens),
            bad_signatures: BadSignatureCache::default(),
            header_cache: HeaderCache::default(),
            prepared: None,
            seed,
        }
    }

    /// Whether to [`poll`](Self::poll) now.
    pub fn is_poll_due(&self, state: &State, remote: RemoteId, now: Nanos) -> bool {
        let remote = state.remotes.get(remote.0);
        remote.is_some_and(|remote| remote.is_poll_due(now))
    }

    /// Reads the shared value of a remote document and installs a new one.
    pub fn poll(
        &self,
        state: &mut State,
        remote: RemoteId,
        bytes: &mut Vec<u8>,
        now: Nanos,
        role: Role,
    ) -> Edit<Polled> {
        let Some(remote_state) = state.remotes.get_mut(remote.0) else {
            return Edit {
                changed: false,
                outcome: Polled::Unchanged,
            };
        };
        let Edit { changed, outcome } = remote_state.poll(bytes, now, role);
        if outcome != RemoteEvent::Changed {
            // The prepared document equals the installed one.
            state.prepared = None;
        }
        let outcome = match outcome {
            RemoteEvent::Nothing => Polled::Unchanged,
            RemoteEvent::Fetch(ticket) => Polled::Fetch(ticket),
            RemoteEvent::Wanted => Polled::Wanted,
            RemoteEvent::Postponed => Polled::Postponed,
            RemoteEvent::Changed => match self.install(state, remote, View::read(bytes).body) {
                Ok(installed) => Polled::Installed(installed),
                Err(problem) => Polled::Rejected(problem),
            },
        };
        Edit { changed, outcome }
    }

    /// Notes that a request in another worker needs something that the document lacks.
    pub fn request_fetch(&self, state: &mut State, remote: RemoteId) {
        if let Some(remote_state) = state.remotes.get_mut(remote.0) {
            remote_state.request_fetch();
        }
    }

    /// Makes the next poll due at once: a fetch has ended.
    pub fn fetch_ended(&self, state: &mut State, remote: RemoteId) {
        if let Some(remote_state) = state.remotes.get_mut(remote.0) {
            remote_state.poll_soon();
        }
    }

    /// The age of the document that a worker has.
    pub fn age(&self, state: &State, remote: RemoteId, now: Nanos) -> Option<Nanos> {
        state.remotes.get(remote.0)?.age(now)
    }

    /// Whether a document is usable for decisions.
    pub fn is_usable(&self, state: &State, remote: RemoteId, now: Nanos) -> bool {
        state.is_usable(remote, now)
    }

    /// Parses a fetched document. Store it only if this succeeds; the next [`poll`](Self::poll) installs it without
    /// parsing it again.
    pub fn prepare(&self, state: &mut State, remote: RemoteId, body: &[u8]) -> Result<(), String> {
        state.prepared = None;
        let content = self.parse(state, remote, body)?;
        state.prepared = Some(Prepared {
            remote,
            body: body.to_vec(),
            content,
        });
        Ok(())
    }

    fn parse(&self, state: &State, remote: RemoteId, body: &[u8]) -> Result<Content, String> {
        match self.remotes.get(remote.0).map(|remote| remote.kind) {
            Some(RemoteKind::Keys(id)) => {
                let uses = self.provider(id).map(|provider| &provider.uses[..]);
                key_set(body, uses.unwrap_or_default()).map(|set| Content::Keys(id, set))
            }
            Some(RemoteKind::Revocations) => {
                let list = RevocationList::parse(body, &state.seed);
                let list = list.map_err(|error| error.to_string())?;
                Ok(Content::Revocations(list))
            }
            None => Err("no such document".to_owned()),
        }
    }

    fn install(
        &self,
        state: &mut State,
        remote: RemoteId,
        body: &[u8],
    ) -> Result<Installed, String> {
        let prepared = state.prepared.take();
        let prepared =
            prepared.filter(|prepared| prepared.remote == remote && prepared.body == body);
        let content = match prepared {
            Some(prepared) => prepared.content,
            None => self.parse(state, remote, body)?,
        };
        match content {
            Content::Keys(provider, set) => {
                let installed = Installed {
                    entries: set.keys().len(),
                    skipped: set.skipped().iter().map(ToString::to_string).collect(),
                };
                if let Some(place) = state.key_sets.get_mut(provider.0) {
                    *place = Some(set);
                }
                state.tokens.retain(|token| token.provider != provider);
                state.bad_signatures.clear();
                Ok(installed)
            }
            Content::Revocations(list) => {
                let inline = RevocationList::inline(&self.revoked, &state.seed);
                state.revoked = inline.merge(list);
                let revoked = &state.revoked;
                state.tokens.retain(|token| !is_listed(revoked, token));
                Ok(Installed {
                    entries: state.revoked.len(),
                    skipped: Vec::new(),
                })
            }
        }
    }
}

/// Whether a token is listed, even in an expired entry: the end of an entry makes no token valid again.
fn is_listed(revoked: &RevocationList, token: &Verified) -> bool {
    let epoch = UnixSeconds::default();
    token
        .identity()
        .is_some_and(|(iss, jti)| revoked.contains(iss, jti, epoch, 0))
}

/// A set of public keys. A server that publishes secrets has made a mistake.
fn key_set(body: &[u8], uses: &[String]) -> Result<KeySet, String> {
    let set = KeySet::parse_for(body, uses).map_err(|error| error.to_string())?;
    match set.is_symmetric() {
        true => Err("secret keys (kty \"oct\")".to_owned()),
        false => Ok(set),
    }
}
