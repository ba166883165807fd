//! The flags of Envoy's access log (`%RESPONSE_FLAGS%`): their names, and their bits in the property `response.flags`.

use serde::Deserialize;

/// A flag, by its position in [`NAMES`], which is the number of its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Flag(u8);

/// The names in the order of Envoy's bits.
const NAMES: [&str; 29] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
];

const UH: Flag = Flag(1);
const UT: Flag = Flag(2);
const LR: Flag = Flag(3);
const UR: Flag = Flag(4);
const UF: Flag = Flag(5);
const UC: Flag = Flag(6);
const UO: Flag = Flag(7);
const DI: Flag = Flag(9);
const DC: Flag = Flag(14);
const URX: Flag = Flag(15);
const SI: Flag = Flag(16);
const UPE: Flag = Flag(23);
const DR: Flag = Flag(28);

/// The upstream could not be reached, broke off, or was too late. UMSDR and DF are not among them, because a client
/// can cause them alone: with `x-envoy-upstream-stream-duration-ms`, which Envoy accepts from everybody, and with the
/// name of a host that does not exist.
pub(super) const UPSTREAM_FAILED: [Flag; 6] = [UH, UT, UR, UF, UC, UPE];

/// Flags about the upstream. They count only if the [table of endings](super::endings) names the upstream, too.
pub(super) const OF_UPSTREAM: u64 = bits(&[UH, UT, UR, UF, UC, UPE, LR, SI]);

/// The fault filter delayed the request.
pub(super) const DELAYED: u64 = bits(&[DI]);

/// The client has disconnected.
pub(super) const CLIENT_GONE: u64 = bits(&[DC, DR]);

/// Flags that a complete response of the upstream can have: retries were used up, or no more were allowed.
pub(super) const WITH_UPSTREAM_RESPONSE: u64 = bits(&[UO, URX]);

const fn bits(mut flags: &[Flag]) -> u64 {
    let mut bits = 0;
    while let [first, rest @ ..] = flags {
        bits |= first.bit();
        flags = rest;
    }
    bits
}

impl Flag {
    pub(super) const fn bit(self) -> u64 {
        1 << self.0
    }
}

impl TryFrom<String> for Flag {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let place = NAMES.iter().position(|known| *known == name);
        let place = place.and_then(|place| u8::try_from(place).ok());
        place.map(Self).ok_or_else(|| {
            format!(
                "found {name:?}; expected a flag of Envoy's access log: {}",
                NAMES.join(", ")
            )
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Flag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"enum": NAMES})
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Values that a real Envoy wrote.
    #[test]
    fn names_and_bits_agree() {
        let bits = [
            ("UH", 0x2),
            ("UT", 0x4),
            ("UF", 0x20),
            ("UC", 0x40),
            ("UO", 0x80),
            ("NR", 0x100),
            ("FI", 0x400),
            ("RL", 0x800),
            ("DC", 0x4000),
            ("URX", 0x8000),
            ("UMSDR", 0x8_0000),
            ("UPE", 0x80_0000),
            ("DR", 0x1000_0000),
        ];
        for (name, bit) in bits {
            assert_eq!(
                Flag::try_from(name.to_owned()).unwrap().bit(),
                bit,
                "{name}"
            );
        }
        assert_eq!(CLIENT_GONE, 0x1000_4000);
        for (flag, name) in [(LR, "LR"), (UR, "UR"), (DI, "DI"), (SI, "SI"), (UPE, "UPE")] {
            assert_eq!(Flag::try_from(name.to_owned()), Ok(flag));
        }
    }
}
