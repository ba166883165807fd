//! Envoy's response flags.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// Why a response is not what the upstream meant, as the property `response.flags` gives it: the
/// bits are Envoy's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseFlags(u64);

impl ResponseFlags {
    /// No healthy upstream.
    pub const UH: Self = Self(0x2);
    /// The upstream did not answer in time.
    pub const UT: Self = Self(0x4);
    /// The upstream refused the connection.
    pub const UF: Self = Self(0x20);
    /// The upstream closed the connection before it answered.
    pub const UC: Self = Self(0x40);
    /// No route.
    pub const NR: Self = Self(0x100);
    /// The client disconnected.
    pub const DC: Self = Self(0x4000);
    /// Retries were used up, or allowed none.
    pub const URX: Self = Self(0x8000);
    /// The upstream broke off its response.
    pub const UPE: Self = Self(0x80_0000);
    /// The route's cluster does not exist.
    pub const NC: Self = Self(0x100_0000);
    /// The client reset its HTTP/2 stream.
    pub const DR: Self = Self(0x1000_0000);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::UH, "UH"),
        (Self::UT, "UT"),
        (Self::UF, "UF"),
        (Self::UC, "UC"),
        (Self::NR, "NR"),
        (Self::DC, "DC"),
        (Self::URX, "URX"),
        (Self::UPE, "UPE"),
        (Self::NC, "NC"),
        (Self::DR, "DR"),
    ];

    /// The bits, as `response.flags` has them.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for ResponseFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// As in an access log: `UF,URX`, or `-` if there are none.
impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        let names: Vec<_> = set.map(|(_, name)| *name).collect();
        match names.as_slice() {
            [] => f.write_str("-"),
            names => f.write_str(&names.join(",")),
        }
    }
}
