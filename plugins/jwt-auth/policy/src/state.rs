//! What one worker keeps from one request to the next.

use super::bad_signatures::BadSignatureCache;
use super::remote_state::{RemoteEvent, RemoteState};
use super::token_cache::TokenCache;
use super::verified::Verified;
use super::{JwtAuth, ProviderId, RemoteId, RemoteKind};
use crate::jose::{HeaderCache, KeySet};
use crate::remote::{Ticket, View};
use crate::revocation::RevocationList;
use portcullis_table::{Edit, KeyHash, KeyHasher, Seed};

/// So many characters at the end of a token are three quarters as many bytes of its signature. The
/// shortest signatures are of 43.
const END: usize = 64;

/// The state of one worker: keys and lists that were fetched, and tokens that were verified.
#[derive(Debug)]
pub struct State {
    seed: Seed,
    /// By [`RemoteId`].
    pub(super) remotes: Vec<RemoteState>,
    /// By [`ProviderId`](super::ProviderId); those of the configuration are not here.
    pub(super) key_sets: Vec<Option<KeySet>>,
    /// From the configuration, and from the server once it was there.
    pub(super) revoked: RevocationList,
    pub(super) tokens: TokenCache,
    pub(super) bad_signatures: BadSignatureCache,
    pub(super) header_cache: HeaderCache,
    /// What was fetched and read last, until it is taken over.
    prepared: Option<Prepared>,
}

/// A document that is read, but not taken over. Reading one is the dearest thing that a worker does at
/// once, so who fetches it does it once.
#[derive(Debug)]
struct Prepared {
    remote: RemoteId,
    body: Vec<u8>,
    content: Content,
}

/// What is in a document.
#[derive(Debug)]
enum Content {
    Keys(ProviderId, KeySet),
    Revocations(RevocationList),
}

/// What became of a look at a remote document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing that matters.
    Unchanged,
    /// It is time to fetch it, and this worker is to do that.
    Fetch(Ticket),
    /// This worker has another one now. Requests that wait are to be looked at again.
    Installed(Installed),
    /// Another one is there, which cannot be used.
    Rejected(String),
    /// What requests wait for does not come soon. They are to be looked at again.
    Postponed,
}

/// A document that a worker has taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The number of keys, or of revoked tokens.
    pub entries: usize,
    /// What could not be used of it, and why.
    pub skipped: Vec<String>,
}

impl State {
    /// Whether there is a document, and it is not too old.
    pub(super) fn is_usable(&self, remote: RemoteId, now: u64) -> bool {
        let remote_state = self.remotes.get(remote.0);
        remote_state.is_some_and(|remote_state| remote_state.is_usable(now))
    }

    /// Hashes a token together with those who may have issued it: for others it may be good.
    pub(super) fn hash_for(&self, token: &[u8], providers: &[ProviderId]) -> KeyHash {
        let mut hasher = KeyHasher::new(&self.seed);
        hasher.part(token);
        for provider in providers {
            hasher.part(&provider.0.to_le_bytes());
        }
        hasher.finish()
    }

    /// Hashes the end of a token, by which good ones are found. Not those that are bad: anybody can give
    /// one the end of another.
    pub(super) fn hash_end(&self, token: &[u8]) -> KeyHash {
        let mut hasher = KeyHasher::new(&self.seed);
        hasher.part(token.last_chunk::<END>().map_or(token, |end| &end[..]));
        hasher.finish()
    }
}

impl JwtAuth {
    /// The state of a worker that has not seen anything yet. The seed is random.
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

    /// Whether to [`look`](Self::poll) now.
    pub fn is_poll_due(&self, state: &State, remote: RemoteId, now: u64) -> bool {
        let remote_state = state.remotes.get(remote.0);
        remote_state.is_some_and(|remote_state| remote_state.is_poll_due(now))
    }

    /// Looks at the shared value of a remote document, at `now` of the steady clock, and takes over
    /// what is new there.
    pub fn poll(
        &self,
        state: &mut State,
        remote: RemoteId,
        bytes: &mut Vec<u8>,
        now: u64,
    ) -> Edit<Polled> {
        let Some(remote_state) = state.remotes.get_mut(remote.0) else {
            return Edit {
                changed: false,
                outcome: Polled::Unchanged,
            };
        };
        let Edit { changed, outcome } = remote_state.poll(bytes, now);
        if outcome != RemoteEvent::Changed {
            // It is the one that was there before.
            state.prepared = None;
        }
        let outcome = match outcome {
            RemoteEvent::Nothing => Polled::Unchanged,
            RemoteEvent::Fetch(ticket) => Polled::Fetch(ticket),
            RemoteEvent::Postponed => Polled::Postponed,
            RemoteEvent::Changed => match self.install(state, remote, View::read(bytes).body) {
                Ok(installed) => Polled::Installed(installed),
                Err(problem) => Polled::Rejected(problem),
            },
        };
        Edit { changed, outcome }
    }

    /// A fetch has ended: the next look is to be now.
    pub fn fetch_ended(&self, state: &mut State, remote: RemoteId) {
        if let Some(remote_state) = state.remotes.get_mut(remote.0) {
            remote_state.poll_soon();
        }
    }

    /// How old the document is that a worker has, in nanoseconds.
    pub fn age(&self, state: &State, remote: RemoteId, now: u64) -> Option<u64> {
        state.remotes.get(remote.0)?.age(now)
    }

    /// Whether requests can be judged by a document.
    pub fn is_usable(&self, state: &State, remote: RemoteId, now: u64) -> bool {
        state.is_usable(remote, now)
    }

    /// Whether a document that was fetched may be stored; else, why not. The next [`look`](Self::poll) at it
    /// does not read it again.
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
                // As if clocks stood still: that an entry dies makes no token valid again.
                state.tokens.retain(|token| !is_listed(revoked, token));
                Ok(Installed {
                    entries: state.revoked.len(),
                    skipped: Vec::new(),
                })
            }
        }
    }
}

fn is_listed(revoked: &RevocationList, token: &Verified) -> bool {
    token
        .identity()
        .is_some_and(|(iss, jti)| revoked.contains(iss, jti, 0, 0))
}

/// A set of public keys. A server that hands out secrets has made a mistake.
fn key_set(body: &[u8], uses: &[String]) -> Result<KeySet, String> {
    let set = KeySet::parse_for(body, uses).map_err(|error| error.to_string())?;
    match set.is_symmetric() {
        true => Err("secret keys (kty \"oct\")".to_owned()),
        false => Ok(set),
    }
}
