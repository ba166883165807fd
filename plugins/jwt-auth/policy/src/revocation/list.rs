//! The entries, ready to be looked up. The [module](super) describes them.

use super::{ParseError, Revoked, document};
use portcullis_table::{KeyHash, KeyHasher, Seed};

/// Tokens that are revoked.
///
/// ```
/// use jwt_auth_policy::revocation::RevocationList;
/// use portcullis_table::Seed;
///
/// let list = br#"{"revoked": [{"iss": "https://idp.example", "jti": "abc", "exp": 1700000000}]}"#;
/// let list = RevocationList::parse(list, &Seed::new([7; 16]))?;
/// assert!(list.contains("https://idp.example", "abc", 1_699_999_999, 60));
/// assert!(!list.contains("https://idp.example", "abd", 1_699_999_999, 60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RevocationList {
    seed: Seed,
    /// In order, each token once.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: KeyHash,
    /// The expiration time of the token, in seconds since the Unix epoch; the greatest number if it is
    /// not known.
    exp: u64,
}

const NEVER: u64 = u64::MAX;

impl RevocationList {
    /// The tokens that the configuration names.
    pub fn inline(revoked: &[Revoked], seed: &Seed) -> Self {
        let tokens = revoked.iter();
        Self::new(
            tokens.map(|token| (token.iss.as_str(), token.jti.as_str(), None)),
            seed,
        )
    }

    /// Reads a document that was fetched.
    pub fn parse(text: &[u8], seed: &Seed) -> Result<Self, ParseError> {
        let entries = document::parse(text)?;
        let tokens = entries.iter();
        Ok(Self::new(
            tokens.map(|entry| (&*entry.iss, &*entry.jti, entry.exp)),
            seed,
        ))
    }

    fn new<'a>(tokens: impl Iterator<Item = (&'a str, &'a str, Option<u64>)>, seed: &Seed) -> Self {
        let entries = tokens.map(|(iss, jti, exp)| Entry {
            token: hash(iss, jti, seed),
            exp: exp.unwrap_or(NEVER),
        });
        Self {
            seed: seed.clone(),
            entries: in_order(entries.collect()),
        }
    }

    /// The tokens of both lists, which have the same seed.
    pub fn merge(self, other: Self) -> Self {
        Self {
            seed: self.seed,
            entries: in_order([self.entries, other.entries].concat()),
        }
    }

    /// Whether a token is revoked. `now` is the wall clock and `clock_skew` the one with which the token's
    /// own `exp` is judged, both in seconds.
    pub fn contains(&self, iss: &str, jti: &str, now: u64, clock_skew: u64) -> bool {
        let token = hash(iss, jti, &self.seed);
        let found = self
            .entries
            .binary_search_by_key(&token, |entry| entry.token);
        let entry = found.ok().and_then(|at| self.entries.get(at));
        entry.is_some_and(|entry| entry.exp == NEVER || now < entry.exp.saturating_add(clock_skew))
    }

    /// How many tokens are listed, dead entries included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no token is listed.
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
