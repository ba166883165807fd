//! `Cache-Control`: storage and reuse of responses.

use bytes::Bytes;

/// The uses that a header forbids, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forbidden(u8);

/// Reuse without revalidation.
const REUSE: u8 = 0b001;
/// Storage for several users.
const SHARING: u8 = 0b010;
/// Reuse for longer, or in more cases, than caches do by default.
const LONGER: u8 = 0b100;
/// Everything: `no-store`.
const ALL: u8 = 0b111;

pub(super) fn join(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let (own, other) = (Forbidden::of(ours), Forbidden::of(theirs));
    if own.0 | other.0 == own.0 {
        ours.to_vec()
    } else if own.0 | other.0 == other.0 {
        theirs.to_vec()
    } else {
        vec![Bytes::from_static(b"private, no-cache")]
    }
}

impl Forbidden {
    fn of(lines: &[Bytes]) -> Self {
        let mut forbidden = LONGER;
        for member in lines
            .iter()
            .flat_map(|line| line.split(|byte| *byte == b','))
        {
            let member = member.trim_ascii().to_ascii_lowercase();
            match member.as_slice() {
                b"no-store" => return Self(ALL),
                b"no-cache" => forbidden |= REUSE,
                b"private" => forbidden |= SHARING,
                b"public" | b"immutable" => forbidden &= !LONGER,
                _ => {
                    let names = ["max-age=", "s-maxage=", "stale-"];
                    let is_longer = names.iter().any(|name| member.starts_with(name.as_bytes()));
                    if is_longer && !member.ends_with(b"=0") {
                        forbidden &= !LONGER;
                    }
                }
            }
        }
        Self(forbidden)
    }
}
