//! The entries in memory, for look-up. The [module](super) describes them.

use super::{ParseError, Revoked, document};
use portcullis_core::time::UnixSeconds;
use portcullis_table::{KeyHash, KeyHasher, Seed};

/// Revoked tokens.
///
/// ```
/// use jwt_auth_policy::revocation::RevocationList;
/// use portcullis_core::time::UnixSeconds;
/// use portcullis_table::Seed;
///
/// let list = br#"{"revoked": [{"iss": "https://idp.example", "jti": "abc", "exp": 1700000000}]}"#;
/// let list = RevocationList::parse(list, &Seed::new([7; 16]))?;
/// let now = UnixSeconds::new(1_699_999_999);
/// assert!(list.contains("https://idp.example", "abc", now, 60));
/// assert!(!list.contains("https://idp.example", "abd", now, 60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RevocationList {
    seed: Seed,
    /// Sorted, each token once.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: KeyHash,
    /// The expiration time of the token; [`NEVER`] if it is unknown.
    exp: UnixSeconds,
}

const NEVER: UnixSeconds = UnixSeconds::new(u64::MAX);

impl RevocationList {
    /// The list in the configuration.
    pub fn inline(revoked: &[Revoked], seed: &Seed) -> Self {
        let tokens = revoked.iter();
        Self::new(
            tokens.map(|token| (token.iss.as_str(), token.jti.as_str(), None)),
            seed,
        )
    }

    /// Parses a fetched document.
    pub fn parse(text: &[u8], seed: &Seed) -> Result<Self, ParseError> {
        let entries = document::parse(text)?;
        let tokens = entries.iter();
        Ok(Self::new(
            tokens.map(|entry| (&*entry.iss, &*entry.jti, entry.exp)),
            seed,
        ))
    }

    fn new<'a>(
        tokens: impl Iterator<Item = (&'a str, &'a str, Option<UnixSeconds>)>,
        seed: &Seed,
    ) -> Self {
        let entries = tokens.map(|(iss, jti, exp)| Entry {
            token: hash(iss, jti, seed),
            exp: exp.unwrap_or(NEVER),
        });
        Self {
            seed: seed.clone(),
            entries: in_order(entries.collect()),
        }
    }

    /// The tokens of both lists, which must have the same seed.
    pub fn merge(self, other: Self) -> Self {
        Self {
            seed: self.seed,
            entries: in_order([self.entries, other.entries].concat()),
        }
    }

    /// Whether a token is revoked. `clock_skew`, in seconds, is the one that applies to the token's own `exp`.
    pub fn contains(&self, iss: &str, jti: &str, now: UnixSeconds, clock_skew: u64) -> bool {
        let token = hash(iss, jti, &self.seed);
        let found = self
            .entries
            .binary_search_by_key(&token, |entry| entry.token);
        let entry = found.ok().and_then(|at| self.entries.get(at));
        entry.is_some_and(|entry| entry.exp == NEVER || now < entry.exp.plus(clock_skew))
    }

    /// The number of listed tokens, including expired entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the list has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn hash(iss: &str, jti: &str, seed: &Seed) -> KeyHash {
    let mut hasher = KeyHasher::new(seed);
    hasher.part(iss.as_bytes());
    hasher.part(jti.as_bytes());
    hasher.finish()
}

fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_unstable_by_key(|entry| (entry.token, std::cmp::Reverse(entry.exp)));
    entries.dedup_by_key(|entry| entry.token);
    entries.shrink_to_fit();
    entries
}
